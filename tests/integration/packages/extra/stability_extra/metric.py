"""The largest weight of every matrix."""

from __future__ import annotations

from stability.metrics import Context, Metric
from stability.metrics.weights.steps.matrices import current, each_matrix
from stability.parts import MetricHead
from stability.record import Reading


class LargestWeight(Metric):
    """max |W_ij| of every MLP and attention matrix."""

    head = MetricHead("largest_weight", "largest weight of each matrix, by absolute value", over="matrix")

    def measure(self, context: Context) -> Reading:
        """One value a matrix."""

        def largest(name: str) -> float:
            return float(current(context, name).abs().max())

        return each_matrix(context, changed=largest, unchanged=largest)
