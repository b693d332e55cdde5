"""What editors report of their own edits, averaged over those since the previous checkpoint."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Skipped
from stability.record import Reading


def mean_reported(context: Context, figure: str, called: str) -> Reading:
    """The mean of what the editor reported by that name of each edit since the checkpoint before this one.

    Raises:
        Skipped: no edit has been made, or the editor does not report it of each of these.
    """
    if not context.outcomes:
        raise Skipped("no edits made", kind="no_edits")
    done = len(context.outcomes)
    before = max((count for count in context.suite.run.schedule() if count < done), default=0)
    values = [outcome.reported.get(figure) for outcome in context.outcomes[before:]]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        raise Skipped(f"the editor reports no {called}")
    return Reading(over="scalar", values={"": sum(known) / len(known)})
