"""Whether earlier edits still hold at the checkpoint, strictly: as the model's first choice."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.edits.retention import answers_now
from stability.metrics.plugin.metric import Context, Metric, register
from stability.record.schema import Over, Reading


@register
class RetentionAccuracy(Metric):
    """The share of all edits made so far whose every target token is the argmax on the model as it is now."""

    name: ClassVar[str] = "retention_accuracy"
    summary: ClassVar[str] = "share of all edits so far whose target is still the model's first choice"
    over: ClassVar[Over] = "scalar"

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1."""
        accurate = [bool(one.accurate) for one in answers_now(context).values()]
        return Reading(over=self.over, values={"": sum(accurate) / len(accurate)})
