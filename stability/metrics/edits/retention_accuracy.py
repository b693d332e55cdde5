"""Whether earlier edits still hold at the checkpoint, strictly: as the model's first choice."""

from __future__ import annotations

from stability.metrics.edits.steps.now import answers_now
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class RetentionAccuracy(Metric):
    """The share of all edits made so far whose every target token is the argmax on the model as it is now."""

    head = MetricHead(
        "retention_accuracy",
        "share of all edits so far whose target is still the model's first choice",
        over="scalar",
        about="edits",
        cost="own passes",
    )

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1."""
        accurate = [bool(one.accurate) for one in answers_now(context).values()]
        return self.single(sum(accurate) / len(accurate))
