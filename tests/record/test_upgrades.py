"""Records outlive versions: what an older one wrote is read, and judged as it was.

The records in `schemas/N` are of two-edit runs of the built-in model (an editor that does nothing, one that
raises, one that leaves a NaN), of a gate, and a baseline, each as the version of schema N wrote it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.baselines import read_baseline
from stability.errors import RecordError
from stability.judge import Baseline, judge
from stability.record import (
    SCHEMA_VERSION,
    Checkpoint,
    GateCall,
    Problem,
    Record,
    Replaced,
    read_record,
    write_record,
)
from stability.record.upgrades import OLDEST
from stability.record.upgrades.schema_1 import to_schema_2
from stability.suite import parse_suite
from stability.suite.overrides import Overrides

SCHEMAS = Path(__file__).parent / "schemas"
EVERY = range(OLDEST, SCHEMA_VERSION + 1)
NAMES = ("run", "gate", "baseline")
ROOT = Path(__file__).parents[2]


def few(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, max_size=3).map(tuple)


def sample(schema: int, name: str) -> Record:
    return read_record(SCHEMAS / str(schema) / f"{name}.json")


def points(record: Record) -> Iterator[tuple[str, Checkpoint]]:
    yield "base", record.base
    for run in record.runs:
        for point in run.checkpoints:
            yield f"{run.editor.name} {point.edits}", point


def problems(record: Record) -> dict[tuple[str, ...], Problem]:
    """Every problem of a record, by where it stands."""
    found: dict[tuple[str, ...], Problem] = {("not_asked", key): one for key, one in record.not_asked.items()}
    found |= {("run", run.editor.name): run.error for run in record.runs if run.error is not None}
    for where, point in points(record):
        found |= {(where, "errors", metric): one for metric, one in point.errors.items()}
        found |= {(where, "skipped", metric): one for metric, one in point.skipped.items()}
        for metric, reading in point.readings.items():
            found |= {(where, metric, key): one for key, one in reading.left_out.items()}
    return found


def statuses(record: Record) -> list[tuple[str, str, str]]:
    suite = parse_suite(record.suite_text, is_recorded=True).spec
    return [(one.editor, one.check, one.status) for one in judge(suite, record).verdicts]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schema", EVERY)
def test_a_record_of_every_schema_is_read_and_written_again_in_this_ones(
    schema: int, name: str, tmp_path: Path
) -> None:
    record = sample(schema, name)
    write_record(record, tmp_path / "run.json")
    assert json.loads((tmp_path / "run.json").read_text())["schema_version"] == SCHEMA_VERSION
    assert read_record(tmp_path / "run.json").model_dump_json() == record.model_dump_json()


@pytest.mark.parametrize("schema", EVERY)
def test_a_record_of_every_schema_is_judged_as_it_was_when_it_was_made(schema: int) -> None:
    nothing, busy, breaking = "none", "./suites/busy.py:Busy", "./suites/breaking.py:Breaking"
    checks = ("finite", "frozen", "took", "paraphrased", "probes", "tasks[world_choice]", "tasks[rte]")
    found = ("pass", "pass", "error", "error", "pass", "pass", "skip")
    broken = ("fail", *["error"] * 6)
    assert statuses(sample(schema, "run")) == [
        *((nothing, check, status) for check, status in zip(checks, found, strict=True)),
        *((busy, check, "error") for check in checks),
        *((breaking, check, status) for check, status in zip(checks, broken, strict=True)),
    ]
    assert [status for _, _, status in statuses(sample(schema, "gate"))] == ["pass", "skip", "skip", "skip"]


@pytest.mark.parametrize("schema", EVERY)
def test_a_baseline_of_every_schema_is_compared_with(schema: int) -> None:
    record = sample(SCHEMA_VERSION, "baseline")
    suite = parse_suite(
        "schema: 1\nname: tiny\nmodel: world\neditors: [none]\nchecks:\n"
        "  norm: {metric: weight_norm, relative_to: previous, assert: '<= 1.01'}\n"
        "  task: {metric: task_score, relative_to: previous, where: {task: world_choice}, change: absolute,"
        " assert: '>= -0.05'}\n"
    ).spec
    baseline = Baseline(read_baseline(SCHEMAS / str(schema) / "baseline.json"))
    found = judge(suite, record, {"none": baseline}).verdicts
    assert [(one.check, one.status, one.value) for one in found] == [
        ("norm", "pass", 1.0),
        ("task", "error", None),
    ]
    # Six documents cannot tell any score from a guess: asked of the record alone, whatever the baseline's schema.
    assert found[1].problem is not None
    assert found[1].problem.kind == "at_chance"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schema", EVERY)
def test_an_upgraded_problem_says_the_same_and_is_of_the_kind_that_this_version_gives_or_unknown(
    schema: int, name: str
) -> None:
    older, now = problems(sample(schema, name)), problems(sample(SCHEMA_VERSION, name))
    assert {where: one.message for where, one in older.items()} == {
        where: one.message for where, one in now.items()
    }
    differing = {
        where: (older[where].kind, now[where].kind) for where in now if older[where].kind != now[where].kind
    }
    assert {kind for kind, _ in differing.values()} <= {"unknown"}
    assert len(differing) <= 1


def test_schema_1_tells_the_kinds_of_what_other_figures_show(tmp_path: Path) -> None:
    found = problems(sample(1, "run"))
    kinds = {where: one.kind for where, one in found.items()}
    assert kinds["run", "./suites/breaking.py:Breaking"] == "not_finite"
    assert kinds["run", "./suites/busy.py:Busy"] == "unknown"  # it may have run out of memory
    assert kinds["base", "skipped", "retention"] == "no_edits"
    assert kinds["none 2", "errors", "edit_success"] == "no_target_true"
    assert kinds["none 2", "skipped", "paraphrase_success"] == "no_such_prompts"
    assert kinds["none 2", "task_score", "rte"] == "no_data"
    assert kinds["none 2", "probe_accuracy", "0-1"] == "probe_unreliable"
    assert kinds["./suites/breaking.py:Breaking 2", "errors", "perplexity"] == "not_finite"
    gated = sample(1, "gate").not_asked
    assert (gated["kl_divergence"].kind, gated["kl_divergence"].level) == ("needs_level", "activations")
    assert (gated["task_score"].kind, gated["task_score"].level) == ("needs_level", "tasks")
    assert gated["edit_success"].kind == "edits_not_verified"


def every_message_x(value: Any, *, inside: bool = False) -> Any:
    """Schema 1's messages are the strings under these keys."""
    if isinstance(value, dict):
        return {
            key: every_message_x(
                part, inside=inside or key in ("errors", "skipped", "left_out", "not_asked", "error")
            )
            for key, part in value.items()
        }
    if isinstance(value, list):
        return [every_message_x(part, inside=inside) for part in value]
    return "x" if inside and isinstance(value, str) else value


@pytest.mark.parametrize("name", NAMES)
def test_no_kind_is_read_off_a_message(name: str, tmp_path: Path) -> None:
    content = json.loads((SCHEMAS / "1" / f"{name}.json").read_text())
    path = tmp_path / "run.json"
    path.write_text(json.dumps(every_message_x(content)))
    silenced, told = problems(read_record(path)), problems(sample(1, name))
    assert {one.message for one in silenced.values()} == {"x"}
    assert {where: one.kind for where, one in silenced.items()} == {
        where: one.kind for where, one in told.items()
    }


def test_what_the_command_line_of_schema_1_replaced_is_data() -> None:
    expected = Replaced(
        edits=2, seeds=(1,), settings=("probes.tokens=200", "text.tokens=400"), baselines="old ones"
    )
    record = sample(1, "run")
    assert (record.replaced, record.gate) == (expected, None)
    assert record.replaced == sample(2, "run").replaced
    gated = sample(1, "gate")
    assert gated.gate == GateCall(base="world", edited="edited", suite="suites/shipped.stability.yaml")
    assert gated.gate == sample(2, "gate").gate
    assert gated.replaced == Replaced()


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9)
counts = st.integers(1, 10**6)
some_changes = st.builds(
    Overrides, model=st.none() | names, editors=few(names), edits=st.none() | counts,
    seeds=few(counts), checkpoints=few(counts), settings=few(names),
)  # fmt: skip


@given(some_changes, st.none() | names)
def test_whatever_the_line_of_schema_1_replaced_is_found_in_it(
    changes: Overrides, baselines: str | None
) -> None:
    content = json.loads((SCHEMAS / "1" / "run.json").read_text())
    words = ["stability", "run", "a suite.yaml", *changes.arguments()]
    words += [] if baselines is None else ["--baselines", baselines]
    upgraded = Record.model_validate(to_schema_2({**content, "command": shlex.join(words)}))
    assert upgraded.replaced == Replaced(**asdict(changes), baselines=baselines)


@pytest.mark.parametrize("schema", EVERY)
def test_what_was_replaced_says_the_same_as_the_command(schema: int) -> None:
    record, gated = sample(schema, "run"), sample(schema, "gate")
    changes = Overrides(**record.replaced.model_dump(exclude={"baselines"}))
    words = ["stability", "run", str(record.suite_path), *changes.arguments(), "--baselines", "old ones"]
    assert record.command == shlex.join(words)
    assert gated.gate is not None
    assert gated.command == shlex.join(["stability", "gate", *gated.gate.arguments()])


@pytest.mark.parametrize("command", ["", "make run", "stability run", "stability run x 'never closed"])
def test_a_line_that_no_version_wrote_replaces_nothing(command: str, tmp_path: Path) -> None:
    content = json.loads((SCHEMAS / "1" / "run.json").read_text())
    path = tmp_path / "run.json"
    path.write_text(json.dumps({**content, "command": command}))
    assert read_record(path).replaced == Replaced()


def test_a_run_that_was_interrupted_is_told_from_others(tmp_path: Path) -> None:
    content = json.loads((SCHEMAS / "1" / "run.json").read_text())
    content["runs"][1]["error"] = "interrupted"
    path = tmp_path / "run.json"
    path.write_text(json.dumps(content))
    assert read_record(path).runs[1].error == Problem(kind="interrupted", message="interrupted")


def test_the_committed_sample_is_read() -> None:
    record = read_record(ROOT / "reports" / "sample" / "run.json")
    assert {run.status for run in record.runs} == {"complete"}


def test_a_newer_record_is_one_line_that_says_which_version_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    content = {"schema_version": SCHEMA_VERSION + 1, "harness_version": "7.2.0", "runs": "of another kind"}
    path.write_text(json.dumps(content))
    with pytest.raises(RecordError) as caught:
        read_record(path)
    assert str(caught.value) == (
        f"{path}: record schema {SCHEMA_VERSION + 1} is newer than this version reads (1 to {SCHEMA_VERSION}); "
        "install version 7.2.0 of stability-harness or a later one"
    )
    with pytest.raises(RecordError, match=r"install version 7\.2\.0"):
        read_baseline(path)


def test_fields_that_a_later_version_added_to_the_same_schema_are_passed_over(tmp_path: Path) -> None:
    content = json.loads((SCHEMAS / str(SCHEMA_VERSION) / "run.json").read_text())
    content["weather"] = "fine"
    content["base"]["moon"] = {"phase": 0.5}
    content["runs"][1]["error"]["advice"] = "wait"
    path = tmp_path / "run.json"
    path.write_text(json.dumps(content))
    assert read_record(path).model_dump_json() == sample(SCHEMA_VERSION, "run").model_dump_json()
