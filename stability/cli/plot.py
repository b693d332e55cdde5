"""`stability plot`: the figures of a record as files, for one's own paper."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stability.cli.steps.command import command
from stability.files import FIGURES_FOLDER, record_path


class ImageFormat(StrEnum):
    """What kinds of file a figure is written as."""

    svg = "svg"
    png = "png"
    pdf = "pdf"


@command("plot", place=1)
def plot(
    record: Annotated[
        Path,
        typer.Argument(metavar="RUN", help="A record, or the folder that holds one.", show_default=False),
    ],
    figure: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="norms, activations, probes, …, side-by-side; repeatable."),
    ] = None,
    editor: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Of this editor only; repeatable.")
    ] = None,
    format_: Annotated[
        list[ImageFormat] | None, typer.Option("--format", help="Default: svg and png; repeatable.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Default: figures/ beside the record.")
    ] = None,
    dpi: Annotated[int, typer.Option(min=30, max=1200, help="Dots per inch of a PNG.")] = 200,
    suite: Annotated[
        Path | None, typer.Option(help="Draw the bounds of this suite, not of the one that was run.")
    ] = None,
) -> None:
    """Draw the figures of a record as files."""
    from stability.api import Suite
    from stability.record import read_record

    path = record_path(record)
    kept = read_record(path)
    report = (Suite.load(suite) if suite else Suite.of(kept)).judge(kept, path)
    formats = [one.value for one in format_ or (ImageFormat.svg, ImageFormat.png)]
    folder = out or path.parent / FIGURES_FOLDER
    for file in report.plot(folder, names=figure or (), editors=editor or (), formats=formats, dpi=dpi):
        typer.echo(file)
