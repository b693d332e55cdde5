"""Norm-anchor scaling: every value that is written gets the usual norm of values in the unedited model."""

from __future__ import annotations

import torch
from torch import Tensor

DROPPED = 0.05  # the share of largest norms that is left out
SKIPPED = 2.0  # a value longer than this times the usual norm is not written


def usual_norm(norms: Tensor) -> float:
    """The norm anchor a: the mean of ‖v*‖ over requests, [n], without the largest five per cent."""
    kept = norms.double().sort().values[: len(norms) - int(DROPPED * len(norms))]
    return kept.mean().item()


def scaled_to_norm(values: Tensor, unedited: Tensor, norm: float) -> Tensor:
    """The values v* [edits, d] scaled to the norm a; one longer than 2a becomes its v0, so it is not written.

    Norm-anchor scaling (NAS, arXiv 2602.02543); the rule for the longest as in the authors' code. `unedited`
    are the v0, [edits, d].
    """
    norms = values.norm(dim=-1, keepdim=True)  # [edits, 1]
    return torch.where(norms > SKIPPED * norm, unedited, norm * values / norms)
