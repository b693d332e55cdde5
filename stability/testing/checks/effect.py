"""Checks of what an editor does to the weights: its edits take, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch

from stability.models import map_model
from stability.testing.case import Case
from stability.testing.check import CheckFailed, CheckSkipped, check
from stability.testing.session import EditorRun, Step

NAMED = 3  # as many names are written out


def steps_of(run: EditorRun) -> list[Step]:
    """The step of `prepare`, if it came so far, and those of `edit`."""
    return [*([] if run.prepared is None else [run.prepared]), *run.steps]


def listed(names: Iterable[str]) -> str:
    """The first few names, and the number of others."""
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


@check()
def edits_without_error(case: Case) -> str:
    """Ordinary edits, one after another, raise nothing."""
    if case.first.error is not None:
        raise CheckFailed(str(case.first.error))
    return f"{len(case.first.steps)} edits made"


@check("edits_without_error")
def edits_take_effect(case: Case) -> str:
    """Right after each edit its target is more probable than before, and often enough beats the true one."""
    return took(case, case.first, case.share)


def took(case: Case, run: EditorRun, share: float) -> str:
    """Say how many edits of a run took.

    Raises:
        CheckFailed: a target's probability did not rise, or too few targets win.
        CheckSkipped: the model cannot be asked.
    """
    successes: list[bool] = []
    for step in run.steps:
        for edit, scores in zip(step.edits, step.scores, strict=True):
            if scores is None:
                raise CheckSkipped(f"after {step.doing} the model gives no log-probabilities")
            before, after = scores
            if not after.target > before.target:
                raise CheckFailed(
                    f"{step.doing}: the mean log-probability of {edit.target!r} was {before.target:.3f} "
                    f"and is {after.target:.3f} after it"
                )
            if after.true is not None:
                successes.append(after.target > after.true)
    if not successes:
        return "every target became more probable"
    if sum(successes) < share * len(successes):
        raise CheckFailed(
            f"{sum(successes)} of {len(successes)} targets are more probable than the true ones; "
            f"the share should be at least {share:g}"
        )
    return f"{sum(successes)} of {len(successes)} targets win"


@check("edits_without_error")
def no_nan(case: Case) -> None:
    """No weight becomes NaN or infinite."""
    for step in steps_of(case.first):
        if step.broken:
            raise CheckFailed(f"{step.doing} left NaN or infinity in {listed(step.broken)}")


@check("edits_without_error")
def only_weights_change_that_may(case: Case) -> str:
    """Only such weights change as the editor names, or else the matrices of the blocks; buffers never."""
    own = dict(case.loaded.model.named_parameters())
    buffers = dict(case.loaded.model.named_buffers())
    declared = case.may_change or _touched(case)
    allowed = declared or tuple(matrix.name for matrix in map_model(case.loaded.model).matrices)
    changed: dict[str, str] = {}  # the step that first changed it
    for step in case.first.steps:
        if own.keys().isdisjoint(step.after["modules"]):
            raise CheckSkipped("the returned model calls its weights by other names")
        for name in step.prints:
            changed.setdefault(name, step.doing)
    for name, doing in changed.items():
        if name in buffers and not any(fnmatch(name, pattern) for pattern in case.may_change):
            raise CheckFailed(f"{doing} changed the buffer {name}")
        if name in own and not any(fnmatch(name, pattern) for pattern in allowed):
            what = "what it says it touches" if declared else "the blocks' matrices"
            raise CheckFailed(
                f"{doing} changed {name}, which is not among {what}; "
                "declare what may change besides by may_change"
            )
    if not changed:
        raise CheckSkipped("the editor changes no weight")
    return f"changed: {listed(changed)}"


def _touched(case: Case) -> tuple[str, ...]:
    return case.editor.touched(map_model(case.loaded.model)) or ()


@check("edits_without_error")
def prepare_changes_no_weight(case: Case) -> None:
    """`prepare` leaves every weight of the unedited model as it is."""
    if not case.editor.has("prepare"):
        raise CheckSkipped("the editor has no prepare")
    prepared = case.first.prepared
    if prepared is not None and prepared.prints:
        raise CheckFailed(f"preparing changed {listed(prepared.prints)}")
