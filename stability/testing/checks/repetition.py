"""Checks that a result follows from model, edits, settings and seed alone, after a break as well."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from stability.errors import EditorError, StabilityError
from stability.run.saved import read_state, write_state
from stability.testing.case import Case
from stability.testing.check import CheckFailed, CheckSkipped, check
from stability.testing.checks.effect import listed, took
from stability.testing.session import EditorRun, Prints


def differing(one: Sequence[Prints], other: Sequence[Prints]) -> tuple[int, list[str]] | None:
    """The first call, from 1, after which two runs differ, and the tensors that do; None if none does."""
    for number, (first, second) in enumerate(zip(one, other, strict=False), start=1):
        names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
        if names:
            return number, names
    return None


def must_agree(one: EditorRun, other: EditorRun, how: str) -> None:
    """Raise `CheckFailed` if a run ended in an error or differs from another one."""
    if other.error is not None:
        raise CheckFailed(f"{how}: {other.error}")
    found = differing(one.prints, other.prints)
    if found is not None:
        raise CheckFailed(f"{how}, {listed(found[1])} differs after call {found[0]}")


@check("edits_without_error")
def same_seed_same_result(case: Case) -> None:
    """Two runs with the same seed give the same weights, bit for bit."""
    once, again = case.again
    if once.error is not None:
        raise CheckSkipped(f"a second run raises: {once.error}")
    must_agree(once, again, "made again with the same seed")


@check("edits_without_error")
def a_second_run_starts_clean(case: Case) -> None:
    """A run on a fresh model gives what the first one gave: nothing of earlier runs is remembered."""
    once, again = case.again
    for run in (case.between, once):
        if run.error is not None:
            raise CheckFailed(f"the first run was made, a later one on a fresh model raises: {run.error}")
    if differing(once.prints, again.prints) is not None:
        raise CheckSkipped("cannot be told: the same seed gives different results")
    must_agree(case.first, once, "made again on a fresh model after a run of other edits")
    try:
        took(case, case.first, case.share)
    except (CheckFailed, CheckSkipped):
        return
    try:
        took(case, case.between, share=0)
    except CheckFailed as failure:
        raise CheckFailed(f"in the first run edits took, in a later one they do not: {failure}") from failure


@check("a_second_run_starts_clean")
def state_round_trips(case: Case) -> str:
    """Taken up again from its state by a new instance, a run goes on as it would have: bit for bit."""
    session = case.session()
    session.prepare()
    for edit in case.ordinary[:2]:
        session.edit(edit)
    state = session.state()
    kept, size = _carried(state)
    model, following = deepcopy(session.model), case.ordinary[2]
    expected = session.edit(following)
    resumed = case.session()
    resumed.prepare()
    resumed.model, resumed.made = model, 2
    try:
        resumed.load_state(kept)
        found = resumed.edit(following)
    except StabilityError as error:
        raise CheckFailed(f"taken up from its state: {error}") from error
    difference = differing([expected.prints], [found.prints])
    if difference is not None:
        what = "from its state" if state else "without a state()"
        raise CheckFailed(
            f"taken up {what}, the third edit gives another {listed(difference[1])}: "
            "the editor remembers something that state() does not return or load_state() does not take"
        )
    return f"the state: {listed(state)}, {size} bytes" if state else "no state, and none needed"


def _carried(state: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """The state as it comes back from a file, and the file's size in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.safetensors"
        try:
            write_state(file, state)
        except EditorError as error:
            raise CheckFailed(str(error)) from error
        return read_state(file), file.stat().st_size
