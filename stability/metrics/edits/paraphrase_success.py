"""Whether edits generalise: the share of other phrasings on which the new target won, right after each."""

from __future__ import annotations

from stability.metrics.edits.steps.right_after import mean_share
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class ParaphraseSuccess(Metric):
    """Mean over the edits made so far of each one's share of paraphrases on which `target` won.

    Measured right after each edit, as CounterFact scores it; edits that bring no such prompts do not count.
    """

    head = MetricHead(
        "paraphrase_success",
        "share of an edit's paraphrases on which its target became the likelier one",
        over="scalar",
        about="edits",
    )

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1; `MeasurementError` if an edit has no `target_true`."""
        return self.single(mean_share(context, "paraphrase"))
