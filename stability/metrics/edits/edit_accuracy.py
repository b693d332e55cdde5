"""Whether edits took, strictly: the share whose target the model would have written, right after each."""

from __future__ import annotations

from stability.metrics.edits.steps.right_after import measured_outcomes
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class EditAccuracy(Metric):
    """Over the edits made so far, the share whose every target token was the argmax right after the edit.

    The true target tokens stand before each one that is predicted (teacher-forced), as in zsRE's evaluation.
    """

    head = MetricHead(
        "edit_accuracy",
        "share of edits whose target became the model's first choice, token by token",
        over="scalar",
        about="edits",
    )

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1."""
        outcomes = measured_outcomes(context)
        return self.single(sum(bool(one.accurate) for one in outcomes) / len(outcomes))
