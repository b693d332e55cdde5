"""Whether edits took, strictly: the share whose target the model would have written, right after each."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.base import Context, Metric, Skipped, register
from stability.record.schema import Over, Reading


@register
class EditAccuracy(Metric):
    """Over the edits made so far, the share whose every target token was the argmax right after the edit.

    The true target tokens stand before each one that is predicted (teacher-forced), as in zsRE's evaluation.
    """

    name: ClassVar[str] = "edit_accuracy"
    summary: ClassVar[str] = "share of edits whose target became the model's first choice, token by token"
    over: ClassVar[Over] = "scalar"

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1."""
        known = [one.accurate for one in context.outcomes if one.accurate is not None]
        if not known:
            raise Skipped("no edits made")
        return Reading(over=self.over, values={"": sum(known) / len(known)})
