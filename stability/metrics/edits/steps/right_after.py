"""How the edits so far turned out, each right after it was made."""

from __future__ import annotations

from typing import Literal

from stability.errors import MeasurementError
from stability.metrics.plugin.metric import Context, Skipped
from stability.record.schema import EditOutcome


def measured_outcomes(context: Context) -> tuple[EditOutcome, ...]:
    """The outcomes of the edits so far.

    Raises:
        MeasurementError: an edit left a model that could not be asked.
        Skipped: no edits were made.
    """
    if not context.outcomes:
        raise Skipped("no edits made", kind="no_edits")
    unasked = next((one.id for one in context.outcomes if one.accurate is None), None)
    if unasked is not None:
        raise MeasurementError(f"edit {unasked} left a model that could not be scored", kind="model_unusable")
    return context.outcomes


def mean_share(context: Context, kind: Literal["paraphrase", "neighborhood"]) -> float:
    """The mean, over the edits so far that bring such prompts, of the share of them that came out right.

    Raises:
        MeasurementError: one of these edits has no `target_true` to compare with, or could not be scored.
        Skipped: no edits were made, or none brings such prompts.
    """
    outcomes = measured_outcomes(context)
    asked = [edit for edit in context.edits if getattr(edit, f"{kind}_prompts")]
    if not asked:
        raise Skipped(f"the edits bring no {kind} prompts", kind="no_such_prompts")
    without = next((edit.id for edit in asked if edit.target_true is None), None)
    if without is not None:
        raise MeasurementError(
            f"edit {without} has no target_true to compare with, so {kind}_success is not defined",
            kind="no_target_true",
        )
    shares = [getattr(one, f"{kind}_success") for one in outcomes]
    known = [float(share) for share in shares if share is not None]
    return sum(known) / len(known)
