"""Which of the earlier edits still hold at the checkpoint: retention, edit by edit."""

from __future__ import annotations

from stability.metrics.edits.steps.now import answers_now, holds
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Problem, Reading


class EditRetention(Metric):
    """1 for every edit made so far that succeeds on the model as it is now, else 0; `retention` is the mean.

    An edit that a later one of the same prompt and subject took the place of is left out.
    """

    head = MetricHead(
        "edit_retention",
        "1 for each edit so far that still holds, by probability, else 0",
        over="edit",
        about="edits",
        cost="own passes",
    )

    def measure(self, context: Context) -> Reading:
        """1 or 0 for each edit, by its number from 1 on."""
        answers = answers_now(context)
        numbers = range(1, len(context.edits) + 1)
        superseded = Problem(kind="superseded", message="edited again later")
        return self.reading(
            {str(number): float(holds(answer)) for number, answer in answers.items()},
            left_out={str(number): superseded for number in numbers if number not in answers},
        )
