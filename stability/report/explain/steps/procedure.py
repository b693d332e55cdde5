"""Remedies that leave the editor as it is: fewer edits, a guard, the suite, the files of a checkpoint."""

from __future__ import annotations

import shlex

from stability.report.explain.evidence import Evidence
from stability.report.explain.suggestion import Suggestion, command
from stability.report.steps import wording
from stability.suite.metrics import measured_by

TAKING = ("edit_success", "edit_accuracy", "paraphrase_success")


def fewer(e: Evidence) -> Suggestion | None:
    """Make as many edits as held; find the exact number if it is not known."""
    v = e.verdict
    if e.is_on_disk or v.failed_at is None or not _is_about_edits(e):
        return None
    held = v.held_to or 0
    if not held and v.metric in TAKING:  # no number of edits takes
        return None
    shown = _course(e, held, v.failed_at)
    warns = v.severity == "warn"  # and does not end a horizon
    if held and v.failed_at - held <= e.batch:
        return Suggestion(f"edit at most {held} facts into one model{e.share(held)}", effect=shown)
    if held:
        words = f"edit at most {held} facts into one model{e.share(held)}"
        sought = f"; how many more hold, short of {v.failed_at}, is its stability horizon"
    else:
        broke = "warned" if warns else "failed"
        words = (
            f"edit fewer facts than {v.failed_at}{e.share(v.failed_at)}, at which it {broke} when it was "
            "first looked at"
        )
        sought = "; how many hold is its stability horizon"
    if warns:
        return Suggestion(words, effect=shown)
    found = command(e, lambda rerun, entry: rerun.run(entry.called, verb="horizon"))
    return Suggestion(words + sought, found, effect=shown)


def _course(e: Evidence, held: int, failed: int) -> str:
    """The values at both ends of the bracket, at the seed that it is of."""
    for seed in e.verdict.seeds:
        values = {point.edits: point.value for point in seed.points}
        if (seed.held_to or 0, seed.failed_at) == (held, failed) and {held, failed} <= values.keys():
            return (
                f"{wording.number(values[held])} at {held} edits, {wording.number(values[failed])} at "
                f"{failed}"
            )
    return ""


def guard(e: Evidence) -> Suggestion | None:
    """Guarded transactions, for edits that are made while a service runs."""
    if e.is_on_disk or e.method.family == "control" or not _is_about_edits(e):
        return None
    return Suggestion(
        "in a service, let stability.Guard roll back the batch that breaks this check (docs/guard.md)"
    )


def examine(e: Evidence) -> Suggestion | None:
    """The conformance kit, which checks what a run assumes of an editor."""
    if e.is_on_disk:
        return None
    entry = e.entry
    if entry is None:
        return Suggestion("look the editor over: `stability check-editor` tries what a run takes for granted")
    words = ["stability", "check-editor", entry.name]
    words += ["--model", e.record.model.name] if e.record.model.name != "world" else []
    if entry.settings:  # which a name alone does not bring along
        return Suggestion(f"look the editor over with its settings: {shlex.join(words)} --set …")
    return Suggestion("look the editor over: it is tried on what a run takes for granted", shlex.join(words))


def control(e: Evidence) -> Suggestion | None:
    """The control, which edits nothing."""
    if e.method.family != "control":
        return None
    return Suggestion(
        "none is the control and edits nothing; leave it out of this check: `except: none` in the suite"
    )


def allow(e: Evidence) -> Suggestion | None:
    """Widening the suite's `may_change`, if the change is intended."""
    return Suggestion(
        "if the change is meant, widen `may_change` in the suite; if not, `stability check-editor` names "
        "what the editor changed that it should not have"
    )


def own_modules(e: Evidence) -> Suggestion | None:
    """Modules that the editor is meant to add."""
    if not e.method.core.head.adds_modules(e.method.core.settings):
        return None
    return Suggestion(
        "this editor leaves modules of its own in the model; let it merge them, or name it under `except` of "
        "this check in the suite"
    )


def versions(e: Evidence) -> Suggestion | None:
    """A comparison with the earlier version, if the check is relative to it."""
    if e.verdict.relative_to != "previous":
        return None
    return Suggestion(
        "see what else differs from the earlier version: `stability compare BASELINE RUN`; if the change is "
        "meant, `stability baseline update RUN` makes this run the baseline"
    )


def saved_alike(e: Evidence) -> Suggestion | None:
    """Saving both checkpoints in the same way."""
    return Suggestion(
        "save the edited model as the base was: same class, dtype and head, with save_pretrained"
    )


def same_files(e: Evidence) -> Suggestion | None:
    """Copying the files that editing should not change."""
    return Suggestion(
        "copy config.json and the tokenizer's files from the base, unless their change is meant"
    )


def look_at_table(e: Evidence) -> Suggestion | None:
    """The table that a gate prints above its verdicts."""
    return Suggestion(
        "see rank and changed elements of each tensor in the table that `stability gate` prints first"
    )


def remake(e: Evidence) -> Suggestion | None:
    """Making a checkpoint again with fewer edits."""
    if not e.is_on_disk:
        return None
    return Suggestion("make the checkpoint again, from the base, with fewer edits")


def _is_about_edits(e: Evidence) -> bool:
    """Whether the check depends on the number of edits, and on this run only."""
    return measured_by(e.verdict.metric) == "run" and e.verdict.relative_to != "previous"
