"""Whether a matrix's strongest directions are still those that it had before editing."""

from __future__ import annotations

import math

from stability.metrics.plugin.metric import Context, Metric
from stability.metrics.weights.steps.matrices import BaseFigures, current, each_matrix
from stability.parts import MetricHead
from stability.record import Reading

SHARE = 0.5  # of the energy σ² that the base's dominant directions hold, as few as do


class DominantSubspace(Metric):
    """The smaller of (1/k)‖U₀ᵀU‖_F² and (1/k)‖V₀ᵀV‖_F², of the k leading singular vectors before and after.

    1 where both subspaces are as they were, about k/d where the new one is random. k is the least number of
    singular values that hold half of the base's energy Σσ². REVIVE (arXiv 2601.11042) follows a similarity of
    this kind, but neither its formula nor its share of the energy is published: this definition is ours. It
    decomposes each changed matrix.
    """

    head = MetricHead(
        "dominant_subspace",
        "overlap of a matrix's leading singular subspaces with the unedited matrix's",
        over="matrix",
        cost="on request",
        unedited=1.0,
    )

    def __init__(self) -> None:
        from stability.metrics.weights.steps.subspace import dominant

        self._base = BaseFigures(lambda matrix: dominant(matrix, share=SHARE))

    def measure(self, context: Context) -> Reading:
        """One overlap a matrix, by parameter name; 1 for a matrix that no edit has changed."""
        return each_matrix(context, lambda name: self._overlap(context, name), lambda name: 1.0)

    def _overlap(self, context: Context, name: str) -> float:
        from stability.metrics.weights.steps.subspace import dominant, overlap

        base = self._base.of(context, name)
        now = dominant(current(context, name), count=base.count) if base else None
        if base is None or now is None:
            return math.nan
        return min(overlap(base.left, now.left), overlap(base.right, now.right))
