"""Sums of tensors' bytes, by which a model is told to be the one that it was."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stability.store import octets


def word_sums(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    """Of every tensor the sum of its bytes as 64-bit words, modulo 2⁶⁴: one pass at memory's rate."""
    return {name: _word_sum(tensor) for name, tensor in tensors.items()}


def _word_sum(tensor: Tensor) -> int:
    found = octets(tensor)
    if found.storage_offset() % 8:
        found = found.clone()
    whole = len(found) // 8 * 8
    return int(found[:whole].view(torch.int64).sum()) + int(found[whole:].sum())
