"""A run's folder: what goes when a run starts, what never goes, and what is refused."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stability import Suite, read_record
from stability.api import Report, gate
from stability.api.folder import RunIdentity, prepare_folder
from stability.api.suite import _word
from stability.errors import MeasurementError, RecordError, UsageError
from stability.record import Problem, Record, write_record
from stability.suite.overrides import Overrides

SUITE = """
schema: 1
name: small
editors: [none, {name: none, as: other}]
run: {edits: {source: world, count: 2}, checkpoints: [1]}
text: {source: world, tokens: 600}
probes: {tokens: 200}
checks:
  finite: {metric: nonfinite, assert: "== 0"}
"""
REPORTS = ("junit.xml", "report.html", "report.md")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The file of a suite, and a folder in which it was run."""
    folder = tmp_path_factory.mktemp("finished")
    path = folder / "small.stability.yaml"
    path.write_text(SUITE)
    Suite.load(path).run(out=folder / "out").plot(folder / "out" / "figures", formats=["svg"])
    return path, folder / "out"


@pytest.fixture
def suite(finished: tuple[Path, Path]) -> Suite:
    return Suite.load(finished[0])


@pytest.fixture
def out(finished: tuple[Path, Path], tmp_path: Path) -> Path:
    """A copy of the folder."""
    return Path(shutil.copytree(finished[1], tmp_path / "out"))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def changed(path: Path, **more: Any) -> Record:
    record = read_record(path).model_copy(update=more)
    write_record(record, path)
    return record


def test_a_finished_run_says_so_in_its_record(out: Path) -> None:
    assert names(out) == {"run.json", *REPORTS, "figures"}
    record = read_record(out / "run.json")
    assert not record.under_way
    assert not record.is_unfinished


def test_a_run_that_dies_leaves_no_report_of_the_run_before_it_and_keeps_its_record_aside(
    suite: Suite, out: Path
) -> None:
    before = (out / "run.json").read_bytes()
    (out / "notes.txt").write_text("mine")
    (out / "figures" / "mine.svg").write_text("mine")
    assert len(names(out / "figures")) > 1
    missing = suite.override(Overrides(settings=("text.source=./nowhere.txt",)))
    with pytest.raises((MeasurementError, UsageError)):
        missing.run(out=out)
    assert names(out) == {"run.before.json", "notes.txt", "figures"}
    assert names(out / "figures") == {"mine.svg"}
    assert (out / "run.before.json").read_bytes() == before
    with pytest.raises(RecordError, match=r"run\.json: cannot read.*run\.before\.json is of the run before"):
        read_record(out / "run.json")
    with pytest.raises((MeasurementError, UsageError)):
        missing.run(out=out)
    assert (out / "run.before.json").read_bytes() == before


def test_a_run_whose_editor_is_not_there_leaves_no_report_of_the_run_before(suite: Suite, out: Path) -> None:
    broken = out.parent / "gone.py"
    changed(
        out / "run.json",
        runs=tuple(
            run.model_copy(update={"editor": run.editor.model_copy(update={"name": f"{broken}:edit"})})
            for run in read_record(out / "run.json").runs
        ),
    )
    with pytest.raises(Exception, match=r"gone\.py"):
        suite.run(f"{broken}:edit", out=out)
    assert names(out) == {"run.before.json", "figures"}


def test_the_same_run_takes_the_place_of_its_record(suite: Suite, out: Path) -> None:
    before = read_record(out / "run.json")
    report = suite.run(out=out)
    after = read_record(out / "run.json")
    assert after == report.record
    assert after.runs[0].checkpoints[0].readings == before.runs[0].checkpoints[0].readings
    assert names(out) >= {"run.json", *REPORTS}
    assert read_record(out / "run.before.json") == before


def killed(suite: Suite, out: Path) -> None:
    """A run whose process ends at the first checkpoint of its second editor."""

    class Killed(BaseException):
        pass

    class Listener:
        def stage(self, name: str) -> None:
            if name == "other · seed 0: measuring after 2 edits":
                raise Killed

        def edits(self, *arguments: Any) -> None:
            pass

        def __getattr__(self, name: str) -> Callable[..., None]:
            return lambda *arguments: None

    with pytest.raises(Killed):
        suite.run(out=out, listener=Listener())  # type: ignore[arg-type]


def test_the_folder_of_a_run_that_was_killed_is_refused_and_then_told_to_be_replaced(
    suite: Suite, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    killed(suite, out)
    record = read_record(out / "run.json")
    assert record.is_unfinished
    assert [(run.editor.name, run.status) for run in record.runs] == [
        ("none", "complete"),
        ("other", "truncated"),
    ]
    kept = (out / "run.json").read_bytes()
    with pytest.raises(UsageError, match=r"did not finish \(other at seed 0, 2 edits\).*--overwrite"):
        suite.run(out=out)
    assert (out / "run.json").read_bytes() == kept
    suite.run(out=out, overwrite=True)
    assert not read_record(out / "run.json").is_unfinished
    assert (out / "run.before.json").read_bytes() == kept


def test_no_unfinished_record_holds_even_if_all_that_it_has_does(suite: Suite, out: Path) -> None:
    record = read_record(out / "run.json")
    assert suite.judge(record).passed
    half = record.model_copy(update={"runs": record.runs[:1], "under_way": True})
    report = suite.judge(half)
    assert {verdict.status for verdict in report.judgement.verdicts} == {"pass"}
    assert report.judgement.exit_status() == 3
    assert "the run did not finish" in str(report)


@pytest.mark.parametrize(
    "state",
    [
        {"status": "failed", "error": Problem(kind="interrupted", message="interrupted"), "failed_at": 1},
        {"status": "truncated"},
    ],
)
def test_records_that_say_only_by_their_runs_that_they_are_unfinished_are_refused(
    suite: Suite, out: Path, state: dict[str, Any]
) -> None:
    record = read_record(out / "run.json")
    changed(out / "run.json", runs=(record.runs[0], record.runs[1].model_copy(update=state)))
    with pytest.raises(UsageError, match="did not finish"):
        suite.run(out=out)


def test_a_run_that_stopped_at_its_first_failure_as_it_was_told_is_finished(out: Path) -> None:
    record = read_record(out / "run.json")
    stops = {**record.measured, "run": {**record.measured["run"], "stop_on": "first_failure"}}
    runs = tuple(run.model_copy(update={"status": "truncated"}) for run in record.runs)
    assert not record.model_copy(update={"measured": stops, "runs": runs}).is_unfinished


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (Overrides(editors=("none",)), "of none, other"),
        (Overrides(seeds=(3, 4)), "of the seeds 0"),
        (Overrides(model="elsewhere"), "of the model world"),
    ],
)
def test_another_run_is_refused_before_anything_goes(
    suite: Suite, out: Path, changes: Overrides, said: str
) -> None:
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=rf"run\.json is of another run \({said}\); .*--overwrite"):
        suite.override(changes).run(out=out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_suite_of_the_same_name_in_another_file_is_another_run(suite: Suite, out: Path) -> None:
    copied = out.parent / "copied.stability.yaml"
    copied.write_text(SUITE)
    with pytest.raises(UsageError, match="is of another run"):
        Suite.load(copied).run(out=out)
    changed(out / "run.json", suite_path=str(out.parent / "moved.stability.yaml"))
    prepare_folder(out, RunIdentity.of(read_record(out / "run.json")), suite.file)


def test_functions_of_one_name_stand_in_for_one_another_but_two_names_do_not(tmp_path: Path) -> None:
    def gentle(model: Any, tokenizer: Any, edits: Any) -> None:
        return None

    def rough(model: Any, tokenizer: Any, edits: Any) -> None:
        return None

    suite = Suite.parse(SUITE)
    suite.run(gentle, out=tmp_path)
    suite.run(gentle, out=tmp_path)
    with pytest.raises(UsageError, match="of another run \\(of gentle\\)"):
        suite.run(rough, out=tmp_path)
    suite.run(rough, out=tmp_path, overwrite=True)
    assert read_record(tmp_path / "run.json").runs[0].editor.name == "rough"


@pytest.fixture
def searched(suite: Suite, tmp_path: Path) -> Path:
    """A folder with the horizon of the suite."""
    suite.horizon(out=tmp_path / "searched")
    return tmp_path / "searched"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (Overrides(editors=("none",)), "of none, other"),
        (Overrides(seeds=(3, 4)), "of the seeds 0"),
        (Overrides(model="elsewhere"), "of the model world"),
    ],
)
@pytest.mark.parametrize("door", ["horizon", "run"])
def test_the_horizon_of_another_run_is_refused_before_anything_is_measured(
    suite: Suite, searched: Path, changes: Overrides, said: str, door: str
) -> None:
    before = (searched / "horizon.json").read_bytes()
    with pytest.raises(UsageError, match=rf"horizon\.json is of another run \({said}\); .*--overwrite"):
        getattr(suite.override(changes), door)(out=searched)
    assert (searched / "horizon.json").read_bytes() == before
    assert names(searched) == {"horizon.json"}


def test_the_same_search_or_one_that_is_told_to_takes_the_place_of_a_horizon(
    suite: Suite, searched: Path
) -> None:
    before = (searched / "horizon.json").read_bytes()
    suite.horizon(out=searched)
    assert (searched / "horizon.json").read_bytes() == before
    suite.override(Overrides(editors=("none",))).horizon(out=searched, overwrite=True)
    assert names(searched) == {"horizon.json", "horizon.before.json"}
    assert (searched / "horizon.before.json").read_bytes() == before
    [editor] = json.loads((searched / "horizon.json").read_text())["editors"]
    assert editor["editor"] == "none"


def test_a_search_that_dies_leaves_no_horizon(suite: Suite, searched: Path) -> None:
    with pytest.raises(MeasurementError):
        suite.override(Overrides(settings=("text.source=./nowhere.txt",))).horizon(out=searched)
    assert names(searched) == {"horizon.before.json"}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"suite": "small", "editors": [1]}'])
def test_a_horizon_that_cannot_be_read_is_refused(suite: Suite, searched: Path, content: str) -> None:
    (searched / "horizon.json").write_text(content)
    with pytest.raises(UsageError, match=r"horizon\.json: cannot read the horizon.*--overwrite"):
        suite.horizon(out=searched)
    assert (searched / "horizon.json").read_text() == content


@pytest.mark.parametrize("content", ["", "{", '{"schema_version": 99, "harness_version": "9.9"}'])
def test_a_record_that_cannot_be_read_is_refused_too(suite: Suite, out: Path, content: str) -> None:
    (out / "run.json").write_text(content)
    with pytest.raises(UsageError, match=r"run\.json.*--overwrite"):
        suite.run(out=out)
    assert (out / "run.json").read_text() == content
    identity = RunIdentity("small", None, "world", frozenset(["none", "other"]), frozenset([0]))
    prepare_folder(out, identity, suite.file, overwrite=True)
    assert not names(out) & set(REPORTS)


def test_the_same_run_with_other_values_says_what_it_replaces(
    suite: Suite, out: Path, caplog: pytest.LogCaptureFixture
) -> None:
    identity = RunIdentity.of(read_record(out / "run.json"))
    record = (out / "run.json").read_bytes()
    with caplog.at_level(logging.WARNING):
        prepare_folder(out, identity, suite.file)
        assert caplog.messages == []
        (out / "run.json").write_bytes(record)
        other = suite.override(Overrides(edits=1, settings=("text.tokens=500",)))
        prepare_folder(out, identity, other.file)
    [said] = caplog.messages
    assert "run.json will be replaced; it was run with" in said
    assert "run.edits.count: 2" in said
    assert "text.tokens: 600" in said


def test_a_gate_does_not_take_the_place_of_a_run_nor_of_the_gate_of_another_checkpoint(
    out: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="is of another run"):
        gate("world", "world", out=out)
    other = tmp_path / "gated"
    gate("world", "world", out=other)
    gate("world", "world", out=other)
    content = json.loads((other / "run.json").read_text())
    content["gate"]["edited"] = "elsewhere"
    (other / "run.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="of another run \\(of elsewhere\\)"):
        gate("world", "world", out=other)
    gate("world", "world", out=other, overwrite=True)
    assert read_record(other / "run.json").gate is not None


def test_a_report_is_not_written_beside_a_record_of_the_same_moment_but_another_editor(
    suite: Suite, out: Path
) -> None:
    record = read_record(out / "run.json")
    mine = Report(record, suite.judge(record).judgement)
    mine.write(out)
    changed(out / "run.json", runs=record.runs[:1])
    with pytest.raises(RecordError, match="another run"):
        mine.write(out)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("rome", "rome"),
        ("./mine.py:gentle", "mine-gentle"),
        ("mine.py:rough", "mine-rough"),
        ("mine.py", "mine"),
        ("./sub/mine.py:edit", "sub-mine-edit"),
        ("../mine.py:edit", "mine-edit"),
        ("/home/me/mine.py:edit", "mine-edit"),
        ("package.module:attribute", "package.module.attribute"),
        ("reset(rome)", "reset-rome"),
        ("sphere(./mine.py:edit)", "sphere-mine-edit"),
    ],
)
def test_the_name_of_a_folder_says_file_and_function(name: str, word: str) -> None:
    assert _word(name) == word
