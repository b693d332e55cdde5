"""Norm-anchor scaling: every value that is written gets the norm that values have in the unedited model."""

from __future__ import annotations

import torch
from torch import Tensor

DROPPED = 0.05  # of the norms, the largest
SKIPPED = 2.0  # times the usual norm; a longer value is not written


def usual_norm(norms: Tensor) -> float:
    """The norm anchor a: the mean of ‖v*‖ over requests, [n], without the largest five per cent."""
    kept = norms.double().sort().values[: len(norms) - int(DROPPED * len(norms))]
    return kept.mean().item()


def scaled_to_norm(values: Tensor, unedited: Tensor, norm: float) -> Tensor:
    """The values v* [edits, d] brought to the norm a; one longer than 2a becomes its v0 and is not written.

    Norm-anchor scaling (NAS, arXiv 2602.02543); the rule for the longest as in the authors' code. `unedited`
    are the v0, [edits, d].
    """
    norms = values.norm(dim=-1, keepdim=True)  # [edits, 1]
    return torch.where(norms > SKIPPED * norm, unedited, norm * values / norms)
