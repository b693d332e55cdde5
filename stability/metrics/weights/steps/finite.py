"""Counting what is not a finite number."""

from __future__ import annotations

import torch
from torch import Tensor


def count_nonfinite(values: Tensor) -> int:
    """How many elements are NaN or infinite."""
    # A sum is finite if everything in it is, unless it overflows; then, and only then, look at each element.
    if torch.isfinite(values.detach().sum(dtype=torch.float32)):
        return 0
    return int((~torch.isfinite(values)).sum())
