"""How the model answers every edit so far, asked again at the checkpoint."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Skipped
from stability.record import EditOutcome


def holds(outcome: EditOutcome) -> bool:
    """Whether an edit holds: by probability, or as the first choice where nothing is compared with."""
    return bool(outcome.accurate if outcome.success is None else outcome.success)


def answers_now(context: Context) -> dict[int, EditOutcome]:
    """How the model answers every edit's own prompt now, by the edit's number.

    Raises:
        Skipped: no edit has been made.
    """
    if not context.edits:
        raise Skipped("no edits made", kind="no_edits")
    return context.answers_now
