"""The strongest direction in which every weight matrix has moved, against its strongest before editing."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Metric
from stability.metrics.weights.steps.matrices import BaseFigures, current, each_matrix, pristine, ratio
from stability.parts import MetricHead
from stability.record import Reading


class DeltaSpectralNorm(Metric):
    """σ1(W - W0) / σ1(W0), the largest singular values: 0 for a matrix that no edit has changed."""

    head = MetricHead(
        "delta_spectral_norm",
        "largest singular value of each matrix's change, over the unedited matrix's",
        over="matrix",
        unedited=0.0,
    )

    def __init__(self) -> None:
        from stability.metrics.weights.steps.spectral import difference, spectral_norm

        self._norm, self._difference = spectral_norm, difference
        self._base = BaseFigures(spectral_norm)

    def measure(self, context: Context) -> Reading:
        """One ratio a matrix, by parameter name; to a relative 1e-4."""
        return each_matrix(context, lambda name: self._ratio(context, name), lambda name: 0.0)

    def _ratio(self, context: Context, name: str) -> float:
        delta = self._difference(current(context, name), pristine(context, name))
        return ratio(self._norm(delta), self._base.of(context, name))
