"""The judge as a pipeline: five steps, none of which calls an earlier one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest

import stability
from stability.judge import Judgement, judge
from stability.judge.inputs import Assertion
from stability.judge.judging import recorded_run
from stability.judge.problems import NothingSelected
from stability.judge.select import checkpoints_of, edited_model, select
from stability.record import Record
from stability.suite import SuiteSpec

ROOT = Path(stability.__file__).parent
STEPS = ("judge.select", "judge.compare", "judge.reduce", "judge.noise", "judge.summarise")
NORM = 'norm: {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 2.0"}'
DROP = (
    "drop: {metric: task_score, where: {task: choice}, relative_to: base, change: absolute, "
    'assert: ">= -0.05", noise: {}}'
)


def room(frame: FrameType | None) -> str:
    """The room that a frame's code is in: `suite`, a module of the judge, or "" for all other code."""
    file = Path(frame.f_code.co_filename) if frame else Path()
    if not file.is_relative_to(ROOT):
        return ""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:2]) if parts[0] == "judge" else parts[0]


def calls(work: Callable[[], object]) -> list[tuple[str, str]]:
    """Every call from one room into another, in order."""
    found: list[tuple[str, str]] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and (into := room(frame)):
            caller = frame.f_back
            while caller is not None and not room(caller):
                caller = caller.f_back
            found.append((room(caller), into))

    sys.setprofile(watch)
    try:
        work()
    finally:
        sys.setprofile(None)
    return [(first, second) for first, second in found if first != second]


@pytest.fixture
def record(records: ModuleType) -> Record:
    base, run = records.whole_run(growth=0.004, at=(20, 40))
    made: Record = records.record(base, [run])
    return made


def judged(records: ModuleType, check: str, record: Record) -> list[tuple[str, str]]:
    suite: SuiteSpec = records.suite(check)
    found: list[Judgement] = []
    crossed = calls(lambda: found.append(judge(suite, record)))
    assert found[0].verdicts[0].status == "pass"
    return crossed


def test_a_threshold_goes_through_six_rooms(records: ModuleType, record: Record) -> None:
    aside = {"record", "judge.runs"}  # what is said of the runs themselves, whatever the checks
    entered = {into for _, into in judged(records, NORM, record)} - aside
    assert entered == {
        "suite",
        "judge.judging",
        "judge.select",
        "judge.compare",
        "judge.reduce",
        "judge.summarise",
    }


@pytest.mark.parametrize("check", [NORM, DROP])
def test_no_step_calls_another(records: ModuleType, record: Record, check: str) -> None:
    crossed = judged(records, check, record)
    assert any(into == "judge.reduce" for _, into in crossed)
    for caller, into in crossed:
        if into in STEPS:
            assert caller == "judge.judging"


def test_each_step_is_given_what_the_one_before_it_made(records: ModuleType, record: Record) -> None:
    seen: dict[str, None] = {}
    for _, into in judged(records, DROP, record):
        if into in STEPS:
            seen.setdefault(into)
    steps = [name for name in seen if name != "judge.noise"]
    assert steps == [name for name in STEPS if name != "judge.noise"]


def test_what_is_selected_names_the_checkpoint_even_where_nothing_was_measured(
    records: ModuleType, record: Record
) -> None:
    suite = records.suite(NORM.replace("weight_norm", "perplexity"))
    check = suite.checks["norm"]
    run = record.runs[0]
    selection = select(Assertion("norm", "norm", check, suite), recorded_run(record, run), 40)
    assert (selection.edits, selection.values) == (40, {})
    assert selection.unjudged is not None
    assert selection.unjudged.problem.kind == "not_in_record"
    assert selection.unjudged.problem.metric == "perplexity"


def test_a_check_looks_after_the_first_edit_unless_it_says_where(records: ModuleType, record: Record) -> None:
    run = recorded_run(record, record.runs[0])
    plain = records.suite(NORM).checks["norm"]
    named = records.suite(NORM.replace("}, rel", "}, at: [40, 0, 70], rel")).checks["norm"]
    assert list(checkpoints_of(plain, run)) == [20, 40]
    assert list(checkpoints_of(named, run)) == [0, 40, 70]


def test_an_edited_model_is_data_alone(records: ModuleType) -> None:
    model = edited_model(records.model(), frozenset({records.name(2), "transformer.wte.weight"}))
    assert [matrix.name for matrix in model.edited_matrices] == [records.name(2)]
    assert (model.edited_layers, model.blocks["transformer.h.2"]) == ({2}, 2)
    assert {field.name for field in fields(model)} == {
        "info",
        "changed",
        "matrices",
        "edited_matrices",
        "edited_layers",
        "blocks",
    }


def test_nothing_edited_is_a_skip_and_says_so_as_data(records: ModuleType) -> None:
    point = records.checkpoint(20, weight_norm=records.norms())
    record = records.record(records.checkpoint(0, weight_norm=records.norms()), [records.run([point])])
    suite = records.suite(NORM)
    selection = select(
        Assertion("norm", "norm", suite.checks["norm"], suite), recorded_run(record, record.runs[0]), 20
    )
    assert isinstance(selection.unjudged, NothingSelected)
    assert selection.unjudged.problem.kind == "nothing_edited"
