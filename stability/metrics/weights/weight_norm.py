"""The Frobenius norm of every weight matrix: what sequential edits make grow."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.plugin.metric import Context, Metric, register
from stability.metrics.weights.steps.matrices import BaseFigures, current, each_matrix
from stability.metrics.weights.steps.norms import frobenius_norm
from stability.record import Reading
from stability.record.schema import Over


@register
class WeightNorm(Metric):
    """‖W‖_F of every MLP and attention matrix (Gupta et al. 2025, figure 3), to a relative 1e-5."""

    name: ClassVar[str] = "weight_norm"
    summary: ClassVar[str] = "Frobenius norm of each weight matrix"
    over: ClassVar[Over] = "matrix"

    def __init__(self) -> None:
        self._base = BaseFigures(frobenius_norm)

    def measure(self, context: Context) -> Reading:
        """One norm a matrix, by parameter name."""
        return each_matrix(
            context,
            changed=lambda name: frobenius_norm(current(context, name)),
            unchanged=lambda name: self._base.of(context, name),
        )
