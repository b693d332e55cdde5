"""The loss that the editor was left with: whether its optimisation still gets anywhere."""

from __future__ import annotations

from stability.metrics.edits.steps.reported import mean_reported
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class TrainingLoss(Metric):
    """Mean last training loss of the edits since the previous checkpoint, as the editor reports it."""

    head = MetricHead(
        "training_loss",
        "mean last training loss of the edits since the previous checkpoint",
        over="scalar",
        about="editing",
    )

    def measure(self, context: Context) -> Reading:
        """A single value; skipped where the editor does not report it."""
        return mean_reported(context, self.head.name, "training loss")
