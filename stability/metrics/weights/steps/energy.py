"""The hyperspherical energy of a matrix's neurons: how evenly their directions are spread."""

from __future__ import annotations

import math

import torch
from torch import Tensor

ROWS = 1_024  # at a time: against 16,384 others, 64 MiB of float32
NEAR = 1e-2  # squared distances below it are too coarse in float32
NEAREST = 1e-6  # a distance below it counts as it


def hyperspherical_energy(matrix: Tensor) -> float:
    """The energy of the rows of `matrix`, [neurons, d], to a relative 1e-6; NaN if an element is not finite.

    A row of zeros has no direction and stays in the middle, 1 away from the others.
    """
    if not torch.isfinite(matrix).all():
        return math.nan
    total = 0.0
    rows = _directions(matrix.detach(), torch.float32)
    for first in range(0, len(rows), ROWS):
        block = slice(first, first + ROWS)
        squared = _squared_distances(rows[block], rows[first:])  # [block, rows from the block on]
        count = len(squared)
        squared[:, :count].fill_diagonal_(math.inf)
        if squared.min() < NEAR:
            exact = _directions(matrix[first:], torch.float64)
            squared = _squared_distances(exact[:count], exact)
            squared[:, :count].fill_diagonal_(math.inf)
        inverse = squared.clamp_(min=NEAREST**2).rsqrt_()
        # A pair inside of the block is in it twice, one with a later row once.
        total += inverse[:, :count].sum(dtype=torch.float64).item()
        total += 2 * inverse[:, count:].sum(dtype=torch.float64).item()
    return total


def _directions(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    rows = matrix.to(torch.promote_types(matrix.dtype, dtype))
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True, dtype=torch.float64)
    directions: Tensor = (rows / lengths.masked_fill_(lengths == 0, 1)).to(rows.dtype)
    return directions


def _squared_distances(rows: Tensor, others: Tensor) -> Tensor:
    """‖a‖² + ‖b‖² - 2 a·b of unit or zero rows, [rows, others]."""
    squares = [(one != 0).any(1).to(one.dtype) for one in (rows, others)]
    products = rows @ others.T
    return products.mul_(-2).add_(squares[0][:, None]).add_(squares[1])
