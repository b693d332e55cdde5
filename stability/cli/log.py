"""`stability log`: a record and its verdicts, given to an experiment tracker."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from stability.cli.steps.command import command
from stability.cli.steps.options import Baselines, JudgedBy, RunPath
from stability.errors import UsageError
from stability.files import FIGURES_FOLDER, HORIZON_FILE, RECORD_FILE, record_path
from stability.parts import TRACKERS

if TYPE_CHECKING:
    from stability.api import Report


def known(name: str) -> str:
    """The name of a tracker, built in or another package's."""
    if name not in TRACKERS.names():
        listed = ", ".join(map(repr, TRACKERS.names()))
        raise typer.BadParameter(f"{name!r} is not one of {listed}.")
    return name


@command("log", place=8)
def log(
    record: RunPath,
    to: Annotated[
        str,
        typer.Option(
            metavar=f"<{'|'.join(TRACKERS.names())}>",
            callback=known,
            help="Which tracker; where it is, its own configuration says.",
        ),
    ],
    project: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="MLflow's experiment, W&B's project; default: the suite's name."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="What the tracker calls the run; of several, what comes first."),
    ] = None,
    suite: JudgedBy = None,
    baselines: Baselines = None,
    no_files: Annotated[
        bool, typer.Option("--no-files", help="Leave out run.json, the reports and figures.")
    ] = False,
) -> None:
    """Log a record and its verdicts to MLflow or W&B, one run there for each editor and seed."""
    from stability.api import Suite
    from stability.baselines import read_baseline
    from stability.trackers import log_runs, tracked_runs

    path = record_path(record)
    kept = read_baseline(path)
    by = replace(Suite.load(suite) if suite else Suite.of(kept), baselines=baselines)
    report = by.judge(kept, path)
    runs = tracked_runs(report.record, report.judgement)
    if not runs:
        raise UsageError(f"{path}: the record holds no run, so there is nothing to log")
    with _nothing() if no_files else _files(report, path) as artifacts:
        log_runs(
            runs,
            to,
            project=project,
            name=name,
            artifacts=artifacts,
            told=lambda run, place: typer.echo(f"{run.name}: {place}"),
        )


@contextmanager
def _files(report: Report, path: Path) -> Iterator[list[Path]]:
    """The record, its other files, and the reports, which are rewritten to agree with what is logged."""
    beside = [path.parent / HORIZON_FILE, path.parent / FIGURES_FOLDER] if path.name == RECORD_FILE else []
    with TemporaryDirectory(prefix="stability-") as folder:
        written = report.write(folder)
        shutil.copyfile(path, written / RECORD_FILE)
        yield [*sorted(written.iterdir()), *(extra for extra in beside if extra.exists())]


@contextmanager
def _nothing() -> Iterator[list[Path]]:
    yield []
