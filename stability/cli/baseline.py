"""`stability baseline save | update | list`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stability.cli.steps.command import command
from stability.cli.steps.output import printed
from stability.errors import RecordError, SuiteError, UsageError
from stability.files import record_path

if TYPE_CHECKING:
    from stability.baselines.keep import Kept
    from stability.record import Record
    from stability.suite import SuiteFile

SUITES = Path("suites")
SUFFIX = ".stability.yaml"
WIDTH = 160  # of a table that goes into a file or a pipe

RunPaths = Annotated[
    list[Path], typer.Argument(metavar="RUN...", help="Records, or the folders that hold them.")
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--baselines", metavar="DIR", help="Where they are kept; default: baselines/ beside the suite."
    ),
]


@command("baseline", place=130)
def baseline() -> None:
    """Records of earlier versions of an editor: what 'relative_to: previous' compares with."""


@command("baseline save", place=131)
def save(runs: RunPaths, baselines: Folder = None) -> None:
    """Keep a run as the baseline of its editors; there must be none yet."""
    _keep(runs, baselines, replace=False)


@command("baseline update", place=132)
def update(runs: RunPaths, baselines: Folder = None) -> None:
    """Keep a run as the baseline of its editors, in place of the one there is."""
    _keep(runs, baselines, replace=True)


@command("baseline list", place=133)
def list_baselines(
    place: Annotated[
        Path | None,
        typer.Argument(
            metavar="PLACE", help="A suite, or a folder of suites; default: suites, or the folder here."
        ),
    ] = None,
    baselines: Folder = None,
) -> None:
    """List the baselines, and those that the suite beside them has left behind."""
    from rich.markup import escape
    from rich.table import Table

    from stability.baselines.paths import FOLDER, baselines_folder
    from stability.printable import clean

    start = place or (SUITES if SUITES.is_dir() else Path())
    if not start.exists():
        raise UsageError(f"{start}: no such suite or folder")
    folder = baselines or (baselines_folder(start) if start.is_file() else start / FOLDER)
    rows = list(_rows(folder, start))
    if not rows:
        typer.echo(f"no baselines in {folder}; make one of a run: stability baseline save reports/…")
        return
    table = Table(
        "suite", "editor", "model", "edits", "seeds", "version", "made", "KiB", "", box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(*(escape(clean(cell)) for cell in row))
    printed(table, WIDTH)


def _keep(runs: list[Path], folder: Path | None, *, replace: bool) -> None:
    from stability.baselines.keep import keep
    from stability.baselines.paths import baselines_folder
    from stability.record import read_record

    for run in runs:
        record = read_record(record_path(run))
        for kept in keep(record, folder or baselines_folder(record.suite_path), replace=replace):
            typer.echo(said(kept))


def said(kept: Kept) -> str:
    """`replaced suites/baselines/smoke/rome@world.json (41 KiB)`."""
    return f"{'replaced' if kept.replaced else 'saved'} {kept.path} ({_size(kept.path)} KiB)"


def _size(path: Path) -> int:
    return max(1, round(path.stat().st_size / 1024))


def _rows(folder: Path, start: Path) -> Iterator[list[str]]:
    from stability.baselines.file import read_baseline

    suites = _suites(start)
    for path in sorted(folder.glob("*/*.json")):
        try:
            record = read_baseline(path)
        except RecordError as error:
            yield [path.parent.name, path.stem, "", "", "", "", "", str(_size(path)), str(error)]
            continue
        info = record.runs[0].editor
        yield [
            record.suite_name,
            info.name,
            record.model.name,
            "-".join(str(count) for count in sorted({len(run.edits) for run in record.runs})),
            ", ".join(str(run.seed) for run in record.runs),
            info.version or info.fingerprint[:12],
            record.started[:10],
            str(_size(path)),
            _state(record, suites),
        ]


def _suites(start: Path) -> dict[str, SuiteFile]:
    """The suites beside the baselines, by name, without those that cannot be read."""
    from stability.suite import load_suite

    found = {}
    for path in [start] if start.is_file() else sorted(start.glob(f"*{SUFFIX}")):
        try:
            suite = load_suite(path)
        except SuiteError:
            continue
        found[suite.spec.name] = suite
    return found


def _state(record: Record, suites: dict[str, SuiteFile]) -> str:
    """What the suite of today measures in another way."""
    from stability.judge.baseline import suite_differences

    suite = suites.get(record.suite_name)
    if suite is None:
        return "no suite of that name is here"
    if record.measured_fingerprint == suite.measured_fingerprint:
        return ""
    changes = list(suite_differences(suite.measured, record.measured))
    return f"stale: {'; '.join(changes)}" if changes else ""
