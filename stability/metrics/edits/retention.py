"""Whether earlier edits still hold at the checkpoint: by probability, asked again now."""

from __future__ import annotations

from stability.metrics.edits.steps.now import answers_now, holds
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class Retention(Metric):
    """The share of all edits made so far that succeed on the model as it is now.

    An edit without `target_true` succeeds if it is accurate.
    """

    head = MetricHead(
        "retention",
        "share of all edits so far that still hold, by probability",
        over="scalar",
        about="edits",
        cost="own passes",
    )

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1."""
        held = [holds(one) for one in answers_now(context).values()]
        return self.single(sum(held) / len(held))
