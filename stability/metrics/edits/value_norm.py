"""How long the values are that the editor writes: lengths that grow foretell that weights will."""

from __future__ import annotations

from stability.metrics.edits.steps.reported import mean_reported
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class ValueNorm(Metric):
    """Mean ‖v*‖ of the edits since the previous checkpoint, as the editor reports it.

    v* is the vector that a locate-then-edit method searches for the subject's key. Norm-anchor scaling (arXiv
    2602.02543) holds its growth to be what makes the weights grow.
    """

    head = MetricHead(
        "value_norm",
        "mean length of the values that were written since the previous checkpoint",
        over="scalar",
        about="editing",
    )

    def measure(self, context: Context) -> Reading:
        """A single value; skipped where the editor does not report it."""
        return mean_reported(context, self.head.name, "value norm")
