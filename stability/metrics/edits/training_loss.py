"""The loss that the editor was left with: whether its optimisation still gets anywhere."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.edits.steps.reported import mean_reported
from stability.metrics.plugin.metric import Context, Metric, register
from stability.record import Reading
from stability.record.schema import Over


@register
class TrainingLoss(Metric):
    """Mean last training loss of the edits since the previous checkpoint, as the editor reports it."""

    name: ClassVar[str] = "training_loss"
    summary: ClassVar[str] = "mean last training loss of the edits since the previous checkpoint"
    over: ClassVar[Over] = "scalar"

    def measure(self, context: Context) -> Reading:
        """A single value; skipped where the editor does not report it."""
        return mean_reported(context, self.name, "training loss")
