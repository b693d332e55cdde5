"""Whether edits generalise: the share of other phrasings on which the new target won, right after each."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.edits.steps.right_after import mean_share
from stability.metrics.plugin.metric import Context, Metric, register
from stability.record.schema import Over, Reading


@register
class ParaphraseSuccess(Metric):
    """Mean over the edits made so far of each one's share of paraphrases on which `target` won.

    Measured right after each edit, as CounterFact scores it; edits that bring no such prompts do not count.
    """

    name: ClassVar[str] = "paraphrase_success"
    summary: ClassVar[str] = "share of an edit's paraphrases on which its target became the likelier one"
    over: ClassVar[Over] = "scalar"

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1; `MeasurementError` if an edit has no `target_true`."""
        return Reading(over=self.over, values={"": mean_share(context, "paraphrase")})
