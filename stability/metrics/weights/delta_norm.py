"""How far every weight matrix has moved, against its size before editing."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.plugin.metric import Context, Metric, register
from stability.metrics.weights.steps.matrices import BaseFigures, current, each_matrix, pristine, ratio
from stability.metrics.weights.steps.norms import frobenius_norm
from stability.record import Reading
from stability.record.schema import Over


@register
class DeltaNorm(Metric):
    """‖W - W0‖_F / ‖W0‖_F of every MLP and attention matrix as stored: 0 for one that no edit has changed."""

    name: ClassVar[str] = "delta_norm"
    summary: ClassVar[str] = "Frobenius norm of each matrix's change, over that of the unedited matrix"
    over: ClassVar[Over] = "matrix"

    def __init__(self) -> None:
        self._base = BaseFigures(frobenius_norm)

    def measure(self, context: Context) -> Reading:
        """One ratio a matrix, by parameter name."""
        return each_matrix(context, lambda name: self._ratio(context, name), lambda name: 0.0)

    def _ratio(self, context: Context, name: str) -> float:
        delta = frobenius_norm(current(context, name), minus=pristine(context, name))
        return ratio(delta, self._base.of(context, name))
