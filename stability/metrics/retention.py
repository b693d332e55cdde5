"""Whether earlier edits still hold at the checkpoint: by probability, asked again now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from stability.edits import Edit
from stability.metrics.base import Context, Metric, Skipped, register
from stability.metrics.edit_outcome import edit_outcomes
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
        held = [bool(one.accurate if one.success is None else one.success) for one in answers_now(context)]
        return Reading(over=self.over, values={"": sum(held) / len(held)})


def answers_now(context: Context) -> list[EditOutcome]:
    """How the model answers every edit's own prompt now.

    Raises:
        Skipped: no edit has been made.
    """
    if not context.edits:
        raise Skipped("no edits made")
    bare = [replace(edit, paraphrase_prompts=(), neighborhood_prompts=()) for edit in standing(context.edits)]
    return edit_outcomes(context.model, context.tokenizer, bare)


def standing(edits: Sequence[Edit]) -> list[Edit]:
    """The edits that should still hold: of those of one prompt and subject, the last."""
    return list({edit.filled: edit for edit in edits}.values())
