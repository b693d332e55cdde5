"""Renderers are found by their heads, those of other packages by entry point."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stability.api import Report
from stability.errors import RecordError, RendererError
from stability.judge import Judgement
from stability.parts import RENDERERS
from stability.record import Record, read_record
from tests.reports import report_files

Gate = Callable[..., tuple[Record, Judgement]]
OTHER = r"""
from stability.parts import RendererHead, part

@part(RendererHead("csv", "a line for each verdict", file="verdicts.csv"))
def csv(record, judgement):
    return "".join(f"{verdict.check},{verdict.status}\n" for verdict in judgement.verdicts)

@part(RendererHead("log", "goes to no file"))
def log(record, judgement):
    raise AssertionError

@part(RendererHead("broken", "raises", file="broken.txt"))
def broken(record, judgement):
    return record.no_such_field

@part(RendererHead("bytes", "is no text", file="bytes.bin"))
def as_bytes(record, judgement):
    return b""

def placed(file):
    @part(RendererHead("placed", "writes where it may not", file=file))
    def render(record, judgement):
        return ""
    return render

page, outside = placed("report.html"), placed("../outside.txt")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Install a package that names a renderer of its module as entry point."""
    site = tmp_path / "site"
    info = site / "more_renderers-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "more_renderers.py").write_text(OTHER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: more-renderers\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(site)

    def put(name: str) -> None:
        (info / "entry_points.txt").write_text(f"[stability.renderers]\nmine = more_renderers:{name}\n")

    yield put
    sys.modules.pop("more_renderers", None)


def written(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_renderer_is_a_function_of_a_record_and_a_judgement(gate: Gate) -> None:
    record, judgement = gate()
    assert set(RENDERERS.built_in()) >= {"github", "html", "junit", "markdown", "terminal"}
    for part in RENDERERS.built_in().values():
        assert isinstance(part.made(record, judgement), str)


def test_a_report_is_the_files_of_all_renderers(gate: Gate, tmp_path: Path) -> None:
    folder = Report(*gate()).write(tmp_path / "reports" / "new")
    assert written(folder) == report_files() >= {"run.json", "report.html", "report.md", "junit.xml"}


def test_the_record_is_written_with_its_reports_and_never_over_another_runs(
    gate: Gate, tmp_path: Path
) -> None:
    record, judgement = gate()
    folder = Report(record, judgement).write(tmp_path)
    assert read_record(folder / "run.json") == record
    before = (folder / "run.json").stat().st_mtime_ns
    Report(record, judgement).write(tmp_path)
    assert (folder / "run.json").stat().st_mtime_ns == before
    with pytest.raises(RecordError, match="is the record of another run"):
        Report(record.model_copy(update={"started": "2020-01-01T00:00:00Z"}), judgement).write(tmp_path)
    assert read_record(folder / "run.json") == record


def test_a_renderer_of_another_package_writes_its_file_as_well(
    gate: Gate, tmp_path: Path, install: Callable[[str], None]
) -> None:
    install("csv")
    record, judgement = gate()
    folder = Report(record, judgement).write(tmp_path / "out")
    assert written(folder) == {*report_files(), "verdicts.csv"}
    lines = (folder / "verdicts.csv").read_text().splitlines()
    assert lines == [f"{verdict.check},{verdict.status}" for verdict in judgement.verdicts]


def test_a_renderer_without_a_file_is_not_asked_for_one(
    gate: Gate, tmp_path: Path, install: Callable[[str], None]
) -> None:
    install("log")
    assert written(Report(*gate()).write(tmp_path / "out")) == report_files()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", r"renderer mine: writing broken.txt failed at .*more_renderers.py:\d+: AttributeError: "),
        (
            "as_bytes",
            r"renderer mine: writing bytes.bin failed.*: TypeError: it made a bytes, expected a text",
        ),
        ("page", r"renderer mine \(entry point of more-renderers\): it cannot write .* 'report.html'"),
        ("outside", r"renderer mine .*: it cannot write a file called '../outside.txt'"),
        ("OTHER", r"renderer mine: importing it failed.*: AttributeError: "),
        ("placed", r"renderer mine \(entry point of more-renderers\): its head is None, no RendererHead"),
    ],
)
def test_what_goes_wrong_in_it_is_one_line_and_the_other_files_are_there(
    gate: Gate, tmp_path: Path, install: Callable[[str], None], name: str, message: str
) -> None:
    install(name)
    with pytest.raises(RendererError, match=message) as caught:
        Report(*gate()).write(tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert written(tmp_path / "out") == report_files()
    assert not (tmp_path / "outside.txt").exists()
