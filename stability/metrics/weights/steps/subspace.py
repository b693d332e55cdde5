"""The leading singular vectors of a matrix, and how far the spaces of two sets of them overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from stability.metrics.weights.steps.norms import frobenius_norm

NOISE = 1e-7  # singular values below it, relative to the largest, have no vectors of their own


@dataclass(frozen=True)
class Dominant:
    """The leading singular vectors of a matrix [rows, columns], float64 on the CPU."""

    left: Tensor  # [rows, k]
    right: Tensor  # [columns, k]

    @property
    def count(self) -> int:
        """k."""
        return self.left.shape[1]


def dominant(matrix: Tensor, *, share: float = 1.0, count: int | None = None) -> Dominant | None:
    """The `count` leading singular vectors, or as few as hold `share` of Σσ².

    They are the eigenvectors of the smaller Gram matrix, and what the matrix makes of them; where a singular
    value is 0, the latter are 0 too. None if an element is not finite.
    """
    scale = frobenius_norm(matrix)
    if not math.isfinite(scale):
        return None
    matrix = matrix.double() / (scale or 1.0)
    wide = matrix.shape[0] <= matrix.shape[1]
    squares, vectors = torch.linalg.eigh(matrix @ matrix.T if wide else matrix.T @ matrix)
    squares, vectors = squares.flip(0).clamp(min=0), vectors.flip(1)
    if count is None:
        count = int((squares.cumsum(0) < share * squares.sum()).sum()) + 1
    values, vectors = squares[:count].sqrt(), vectors[:, :count]
    values = values.masked_fill(values <= NOISE * values[0], math.inf)
    others = (matrix.T if wide else matrix) @ vectors / values
    left, right = (vectors, others) if wide else (others, vectors)
    return Dominant(left.cpu(), right.cpu())


def overlap(one: Tensor, other: Tensor) -> float:
    """(1/k)‖AᵀB‖_F² of two bases [d, k] with orthonormal columns: between 0 and 1."""
    return min((one.T @ other).square().sum().item() / one.shape[1], 1.0)
