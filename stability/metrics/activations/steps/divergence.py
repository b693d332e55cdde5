"""The divergence of two sets of distributions."""

from __future__ import annotations

import torch
from torch import Tensor

ROWS = 1_024  # at a time, so that the terms take little memory


def mean_kl(p: Tensor, q: Tensor) -> float:
    """Mean over rows of KL(p ‖ q), from log-probabilities [rows, outcomes]; exactly 0 if they are equal."""
    total = 0.0
    for log_p, log_q in zip(torch.split(p, ROWS), torch.split(q, ROWS), strict=True):
        terms = log_p.exp().mul_(log_p - log_q)
        # What p gives no chance adds nothing, whatever q says.
        total += terms.masked_fill_(log_p == -torch.inf, 0).sum(dtype=torch.float64).item()
    return total / len(p)
