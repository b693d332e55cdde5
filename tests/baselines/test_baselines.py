"""Baselines on the disk: where they lie, what they keep, and who finds them."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.baselines import (
    baseline_path,
    baselines_folder,
    baselines_for,
    keep,
    read_baseline,
    write_baseline,
)
from stability.baselines.paths import word
from stability.errors import UsageError
from stability.judge import judge
from stability.record import Record, read_record, write_record

PREVIOUS = """
growth: {metric: weight_norm, where: {matrices: edited}, relative_to: previous, assert: "<= 1.05"}
quiet: {metric: kl_divergence, relative_to: previous, assert: "<= 1.05"}
subspaces: {metric: probe_accuracy, relative_to: previous, assert: ">= 0.95"}
task_drop:
  metric: task_score
  for_each: {task: [choice, sentiment]}
  relative_to: previous
  change: absolute
  assert: ">= -0.05"
  noise: {confidence: 0.95}
"""


@pytest.fixture
def record(records: ModuleType) -> Record:
    base, memit = records.whole_run(editor="memit")
    _, rome = records.whole_run(editor="rome", growth=0.01)
    made: Record = records.record(base, [memit, rome])
    return made


def test_a_baseline_lies_beside_its_suite_by_suite_editor_and_model() -> None:
    folder = baselines_folder("suites/smoke.stability.yaml")
    assert baseline_path(folder, "smoke", "rome", "world") == Path("suites/baselines/smoke/rome@world.json")
    assert baselines_folder(None) == Path("baselines")


@pytest.mark.parametrize(
    "name", ["./mine.py:edit", "openai-community/gpt2-xl", "reset(rome)", "rome (2)", "../../etc", "..", ""]
)
def test_a_name_never_leaves_its_folder_and_is_readable(name: str) -> None:
    found = word(name)
    assert Path(found).name == found
    assert found not in ("", ".", "..")
    assert not found.startswith((".", "-"))


@given(st.text(max_size=30), st.text(max_size=30))
def test_two_names_never_share_a_file(one: str, other: str) -> None:
    assert (word(one) == word(other)) == (one == other)


def test_what_a_later_run_is_compared_with_survives_the_cut(
    records: ModuleType, record: Record, tmp_path: Path
) -> None:
    write_baseline(record, "memit", tmp_path / "b.json")
    kept = read_baseline(tmp_path / "b.json")
    assert [run.editor.name for run in kept.runs] == ["memit"]
    assert kept.base == record.base
    whole = record.runs[0]
    assert [point.readings for point in kept.runs[0].checkpoints] == [p.readings for p in whole.checkpoints]
    assert [(e.id, e.prompt, e.target) for e in kept.runs[0].edits] == [
        (e.id, e.prompt, e.target) for e in whole.edits
    ]

    later = records.whole_run(editor="memit", growth=0.0165)[1]
    now = records.record(record.base, [later])
    suite = records.suite(PREVIOUS)
    by_whole, by_kept = (
        judge(suite, now, baselines_for(now, place))
        for place in (folder_of(record, tmp_path / "whole"), folder_of(kept, tmp_path / "kept"))
    )
    assert by_whole == by_kept
    assert by_kept.counts["pass"] + by_kept.counts["fail"] + by_kept.counts["inconclusive"] == 5


def folder_of(record: Record, folder: Path) -> Path:
    """A folder with this record, as it is, as the baseline of memit."""
    write_record(record, baseline_path(folder, record.suite_name, "memit", record.model.name))
    return folder


def test_a_baseline_is_smaller_than_its_record_and_has_a_line_for_each_metric(
    record: Record, tmp_path: Path
) -> None:
    alone = record.model_copy(update={"runs": record.runs[:1]})
    write_record(alone, tmp_path / "run.json")
    write_baseline(alone, "memit", tmp_path / "b.json")
    assert (tmp_path / "b.json").stat().st_size < 0.4 * (tmp_path / "run.json").stat().st_size
    text = (tmp_path / "b.json").read_text()
    assert sum(line.lstrip().startswith('"weight_norm": ') for line in text.splitlines()) == 7
    assert json.loads(text)["runs"][0]["edits"][0]["id"] == "edit-0"


def test_any_record_can_be_read_as_a_baseline(record: Record, tmp_path: Path) -> None:
    write_record(record, tmp_path / "run.json")
    assert read_baseline(tmp_path / "run.json") == read_record(tmp_path / "run.json") == record


def test_each_editor_gets_a_file_of_its_own(record: Record, tmp_path: Path) -> None:
    kept = keep(record, tmp_path, replace=False)
    assert [(one.editor, one.replaced) for one in kept] == [("memit", False), ("rome", False)]
    found = baselines_for(record, tmp_path)
    assert [run.editor.name for editor in found for run in found[editor].record.runs] == ["memit", "rome"]


def test_saving_twice_needs_the_word_for_it(record: Record, tmp_path: Path) -> None:
    keep(record.model_copy(update={"runs": record.runs[:1]}), tmp_path, replace=False)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    with pytest.raises(
        UsageError, match=r"memit@world\.json is there already; replace it: stability baseline update"
    ):
        keep(record, tmp_path, replace=False)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before  # rome's was not written
    assert [one.replaced for one in keep(record, tmp_path, replace=True)] == [True, False]


@pytest.mark.parametrize("status", ["failed", "truncated"])
def test_a_run_that_ended_early_is_no_baseline(record: Record, tmp_path: Path, status: str) -> None:
    short = record.runs[1].model_copy(update={"status": status})
    with pytest.raises(UsageError, match=f"no baseline was written: the run of rome at seed 0 is {status}"):
        keep(record.model_copy(update={"runs": (record.runs[0], short)}), tmp_path, replace=False)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_baseline_names_its_file_and_the_command_that_makes_it(record: Record) -> None:
    found = baselines_for(record, Path("suites/baselines"), Path("reports/x/run.json"))["memit"]
    assert found.record is None
    assert found.problem == "no baseline of memit on world (suites/baselines/norm-growth/memit@world.json)"
    assert found.save == "stability baseline save reports/x"


def test_the_command_names_the_folder_where_it_is_not_the_usual_one(record: Record) -> None:
    found = baselines_for(record, Path("my baselines"), Path("x.json"))["memit"]
    assert found.update == "stability baseline update x.json --baselines 'my baselines'"


def test_a_baseline_cut_short_is_an_error_and_no_traceback(
    records: ModuleType, record: Record, tmp_path: Path
) -> None:
    keep(record, tmp_path, replace=False)
    path = baseline_path(tmp_path, "norm-growth", "memit", "world")
    path.write_text(path.read_text()[:1000])
    found = baselines_for(record, tmp_path)
    verdict = judge(records.suite(PREVIOUS), record, found).editors[0].verdicts[0]
    assert verdict.status == "error"
    assert "was the file cut short?" in verdict.message
    assert "stability baseline update" in verdict.message
