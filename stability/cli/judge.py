"""`stability judge`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from stability.cli.steps.command import command
from stability.cli.steps.options import Baselines, Figures, JudgedBy, Strict
from stability.cli.steps.output import Delivery, show
from stability.files import FIGURES_FOLDER, record_path


@command("judge", place=5)
def judge(
    record: Annotated[
        Path, typer.Argument(metavar="RUN.JSON", help="A record, or the folder that holds one.")
    ],
    *,
    suite: JudgedBy = None,
    out: Annotated[Path | None, typer.Option(help="Write the reports into this folder.")] = None,
    figures: Figures = False,
    strict: Strict = False,
    baselines: Baselines = None,
    delivery: Delivery,
) -> None:
    """Judge a record again, by its own suite or another; needs no model."""
    from stability.api import Suite
    from stability.record import read_record

    path = record_path(record)
    kept = read_record(path)
    with delivery.working():
        by = replace(Suite.load(suite) if suite else Suite.of(kept), baselines=baselines)
    report = by.judge(kept, path)
    if out is not None:
        report.write(out)
    if figures:
        report.plot((out or path.parent) / FIGURES_FOLDER)
    raise delivery.report(report, by.file, lambda: show(report, out), strict=strict)
