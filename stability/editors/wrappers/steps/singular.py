"""Singular values and vectors of a weight matrix, from the eigenvectors of its smaller Gram matrix."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Singular:
    """Singular values in descending order, float64, with their left and right vectors as columns.

    Values below 1e-7 of the largest are numerical noise, and so are their vectors.
    """

    values: Tensor  # [r]
    left: Tensor  # [d_out, r]
    right: Tensor  # [d_in, r]

    def first(self, count: int) -> Singular:
        """The `count` largest values, with their vectors."""
        return Singular(self.values[:count], self.left[:, :count], self.right[:, :count])


def singular(matrix: Tensor) -> Singular:
    """The decomposition of a matrix [d_out, d_in], without values that are 0 relative to the largest."""
    matrix = matrix.double()
    wide = matrix.shape[0] <= matrix.shape[1]
    gram = matrix @ matrix.T if wide else matrix.T @ matrix
    squares, vectors = torch.linalg.eigh(gram)
    squares, vectors = squares.flip(0), vectors.flip(1)
    values = squares.clamp(min=0).sqrt()
    counted = int((values > 1e-7 * values[0]).sum()) if len(values) else 0
    values, vectors = values[:counted], vectors[:, :counted]
    other = (matrix.T if wide else matrix) @ vectors / values
    return Singular(values, vectors, other) if wide else Singular(values, other, vectors)


def count_for_energy(values: Tensor, share: float) -> int:
    """The smallest number of leading values, at least 1, whose sum is more than `share` of the total."""
    cumulated = values.cumsum(0) / values.sum()
    return min(int((cumulated <= share).sum()) + 1, len(values))
