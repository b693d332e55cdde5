"""Whether earlier edits still hold at the checkpoint: by probability, asked again now."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.plugin.metric import Context, Metric, Skipped, register
from stability.record.schema import EditOutcome, Over, Reading


@register
class Retention(Metric):
    """The share of all edits made so far that succeed on the model as it is now.

    An edit without `target_true` succeeds if it is accurate.
    """

    name: ClassVar[str] = "retention"
    summary: ClassVar[str] = "share of all edits so far that still hold, by probability"
    over: ClassVar[Over] = "scalar"

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1."""
        held = [holds(one) for one in answers_now(context).values()]
        return Reading(over=self.over, values={"": sum(held) / len(held)})


def holds(outcome: EditOutcome) -> bool:
    """Whether an edit holds: by probability, or as the first choice where nothing is compared with."""
    return bool(outcome.accurate if outcome.success is None else outcome.success)


def answers_now(context: Context) -> dict[int, EditOutcome]:
    """How the model answers every edit's own prompt now, by the edit's number.

    Raises:
        Skipped: no edit has been made.
    """
    if not context.edits:
        raise Skipped("no edits made")
    return context.answers_now
