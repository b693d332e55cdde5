"""The Frobenius norm of every weight matrix: what sequential edits make grow."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Fitted, Metric
from stability.metrics.weights.steps.matrices import BaseFigures, current, each_matrix
from stability.parts import MetricHead
from stability.record import Reading


class WeightNorm(Metric):
    """‖W‖_F of every MLP and attention matrix (Gupta et al. 2025, figure 3), to a relative 1e-5."""

    head = MetricHead("weight_norm", "Frobenius norm of each weight matrix", over="matrix", streamed=True)

    depends_on = ()

    def __init__(self) -> None:
        from stability.metrics.weights.steps.norms import frobenius_norm

        self._norm = frobenius_norm
        self._base = BaseFigures(frobenius_norm)

    def measure(self, context: Context) -> Reading:
        """One norm a matrix, by parameter name."""
        return each_matrix(
            context,
            changed=lambda name: self._norm(current(context, name)),
            unchanged=lambda name: self._base.of(context, name),
        )

    def fitted(self) -> Fitted:
        """Each unedited matrix's."""
        return Fitted(self._base.known)

    def load_fitted(self, context: Context, fitted: Fitted) -> bool:
        """Take them over."""
        self._base.known.update(fitted.values)
        return True
