"""Which of the earlier edits still hold at the checkpoint: retention, edit by edit."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.edits.retention import answers_now, holds
from stability.metrics.plugin.metric import Context, Metric, register
from stability.record.schema import Over, Reading


@register
class EditRetention(Metric):
    """1 for every edit made so far that succeeds on the model as it is now, else 0; `retention` is the mean.

    An edit that a later one of the same prompt and subject took the place of is left out.
    """

    name: ClassVar[str] = "edit_retention"
    summary: ClassVar[str] = "1 for each edit so far that still holds, by probability, else 0"
    over: ClassVar[Over] = "edit"

    def measure(self, context: Context) -> Reading:
        """1 or 0 for each edit, by its number from 1 on."""
        answers = answers_now(context)
        numbers = range(1, len(context.edits) + 1)
        return Reading(
            over=self.over,
            values={str(number): float(holds(answer)) for number, answer in answers.items()},
            left_out={str(number): "edited again later" for number in numbers if number not in answers},
        )
