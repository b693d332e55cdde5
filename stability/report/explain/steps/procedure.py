"""Remedies that leave the editor as it is: fewer edits, a guard, the suite, the files of a checkpoint."""

from __future__ import annotations

import shlex

from stability.report.explain.evidence import Situation
from stability.report.explain.suggestion import Attempt, command
from stability.report.steps import wording
from stability.suite.metrics import measured_by

TAKING = ("edit_success", "edit_accuracy", "paraphrase_success")


def fewer(s: Situation) -> Attempt | None:
    """As many edits as held; the exact number where it is not known."""
    v = s.verdict
    if s.is_on_disk or v.failed_at is None or not _is_about_edits(s):
        return None
    held = v.held_to or 0
    if not held and v.metric in TAKING:  # no number of edits takes
        return None
    shown = _course(s, held, v.failed_at)
    if held and v.failed_at - held <= s.batch:
        return Attempt(f"edit at most {held} facts into one model{s.share(held)}", effect=shown)
    found = command(s, lambda again, entry: again.run(entry.called, verb="horizon"))
    words = (
        f"edit at most {held} facts into one model{s.share(held)}; how many more hold, short of "
        f"{v.failed_at}, is its stability horizon"
        if held
        else (
            f"edit fewer facts than {v.failed_at}{s.share(v.failed_at)}, at which it failed when it was "
            "first looked at; how many hold is its stability horizon"
        )
    )
    return Attempt(words, found, effect=shown)


def _course(s: Situation, held: int, failed: int) -> str:
    """The values at both ends of the bracket, at the seed that it is of."""
    for seed in s.verdict.seeds:
        values = {point.edits: point.value for point in seed.points}
        if (seed.held_to or 0, seed.failed_at) == (held, failed) and {held, failed} <= values.keys():
            return (
                f"{wording.number(values[held])} at {held} edits, {wording.number(values[failed])} at "
                f"{failed}"
            )
    return ""


def guard(s: Situation) -> Attempt | None:
    """Transactions, where edits are made while a service runs."""
    if s.is_on_disk or s.method.family == "control" or not _is_about_edits(s):
        return None
    return Attempt(
        "in a service, let stability.Guard roll back the batch that breaks this check (docs/guard.md)"
    )


def examine(s: Situation) -> Attempt | None:
    """The conformance kit, which tries what a run takes for granted."""
    if s.is_on_disk:
        return None
    entry = s.entry
    if entry is None:
        return Attempt("look the editor over: `stability check-editor` tries what a run takes for granted")
    words = ["stability", "check-editor", entry.name]
    words += ["--model", s.record.model.name] if s.record.model.name != "world" else []
    if entry.settings:  # which a name alone does not bring along
        return Attempt(f"look the editor over with its settings: {shlex.join(words)} --set …")
    return Attempt("look the editor over: it is tried on what a run takes for granted", shlex.join(words))


def control(s: Situation) -> Attempt | None:
    """Nothing was to be edited."""
    if s.method.family != "control":
        return None
    return Attempt(
        "none is the control and edits nothing; leave it out of this check: `except: none` in the suite"
    )


def allow(s: Situation) -> Attempt | None:
    """The suite, where the change is meant."""
    return Attempt(
        "if the change is meant, widen `may_change` in the suite; if not, `stability check-editor` names "
        "what the editor changed that it should not have"
    )


def versions(s: Situation) -> Attempt | None:
    """The earlier version, where that is what is compared with."""
    if s.verdict.relative_to != "previous":
        return None
    return Attempt(
        "see what else differs from the earlier version: `stability compare BASELINE RUN`; if the change is "
        "meant, `stability baseline update RUN` makes this run the baseline"
    )


def saved_alike(s: Situation) -> Attempt | None:
    """Checkpoints written the same way."""
    return Attempt("save the edited model as the base was: same class, dtype and head, with save_pretrained")


def same_files(s: Situation) -> Attempt | None:
    """Files that editing has no business with."""
    return Attempt("copy config.json and the tokenizer's files from the base, unless their change is meant")


def look_at_table(s: Situation) -> Attempt | None:
    """What a gate prints above its verdicts."""
    return Attempt(
        "see rank and changed elements of each tensor in the table that `stability gate` prints first"
    )


def remake(s: Situation) -> Attempt | None:
    """For a checkpoint: whoever made it has to make it again."""
    if not s.is_on_disk:
        return None
    return Attempt("make the checkpoint again, from the base, with fewer edits")


def _is_about_edits(s: Situation) -> bool:
    """Whether it is the number of edits that a check depends on, and nothing but this run."""
    return measured_by(s.verdict.metric) == "run" and s.verdict.relative_to != "previous"
