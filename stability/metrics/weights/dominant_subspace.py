"""Whether a matrix's strongest directions are still those that it had before editing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from stability.metrics.plugin.metric import Context, Metric, register
from stability.metrics.weights.steps.matrices import BaseFigures, current, each_matrix, is_asked_for
from stability.metrics.weights.steps.norms import frobenius_norm
from stability.record import Reading
from stability.record.schema import Over
from stability.suite import SuiteSpec

SHARE = 0.5  # of the energy σ² that the base's dominant directions hold, as few as do
NOISE = 1e-7  # singular values below it, relative to the largest, have no vectors of their own


@register
class DominantSubspace(Metric):
    """The smaller of (1/k)‖U₀ᵀU‖_F² and (1/k)‖V₀ᵀV‖_F², of the k leading singular vectors before and after.

    1 where both subspaces are as they were, about k/d where the new one is random. k is the least number of
    singular values that hold half of the base's energy Σσ². REVIVE (arXiv 2601.11042) follows a similarity of
    this kind, but its formula and its share of the energy are not to be had from what is public: this
    definition is ours.
    """

    name: ClassVar[str] = "dominant_subspace"
    summary: ClassVar[str] = "overlap of a matrix's leading singular subspaces with the unedited matrix's"
    over: ClassVar[Over] = "matrix"

    def __init__(self) -> None:
        self._base = BaseFigures(lambda matrix: dominant(matrix, share=SHARE))

    def wanted(self, suite: SuiteSpec) -> bool:
        """On the built-in model always, on others where a check asks: it decomposes each changed matrix."""
        return is_asked_for(self.name, suite)

    def measure(self, context: Context) -> Reading:
        """One overlap a matrix, by parameter name; 1 for a matrix that no edit has changed."""
        return each_matrix(context, lambda name: self._overlap(context, name), lambda name: 1.0)

    def _overlap(self, context: Context, name: str) -> float:
        matrix = current(context, name)
        base = self._base.of(context, name)
        if base is None or not math.isfinite(frobenius_norm(matrix)):
            return math.nan
        now = dominant(matrix, count=base.count)
        return math.nan if now is None else min(overlap(base.left, now.left), overlap(base.right, now.right))


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
