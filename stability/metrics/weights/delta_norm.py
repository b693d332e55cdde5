"""How far every weight matrix has moved, against its size before editing."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Metric
from stability.metrics.weights.steps.matrices import BaseFigures, current, each_matrix, pristine, ratio
from stability.parts import MetricHead
from stability.record import Reading


class DeltaNorm(Metric):
    """‖W - W0‖_F / ‖W0‖_F of every MLP and attention matrix as stored: 0 for one that no edit has changed."""

    head = MetricHead(
        "delta_norm",
        "Frobenius norm of each matrix's change, over that of the unedited matrix",
        over="matrix",
        streamed=True,
        unedited=0.0,
    )

    def __init__(self) -> None:
        from stability.metrics.weights.steps.norms import frobenius_norm

        self._norm = frobenius_norm
        self._base = BaseFigures(frobenius_norm)

    def measure(self, context: Context) -> Reading:
        """One ratio a matrix, by parameter name."""
        return each_matrix(context, lambda name: self._ratio(context, name), lambda name: 0.0)

    def _ratio(self, context: Context, name: str) -> float:
        delta = self._norm(current(context, name), minus=pristine(context, name))
        return ratio(delta, self._base.of(context, name))
