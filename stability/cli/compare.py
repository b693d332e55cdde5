"""`stability compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stability.cli.steps.command import command
from stability.cli.steps.options import Json, Summary
from stability.cli.steps.output import Delivery, console


@command("compare", place=6)
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Records, or the folders that hold them; baselines, too."),
    ],
    suite: Annotated[
        Path | None, typer.Option(help="Compare by the checks of this suite, not of the first run's.")
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="Exit 1 if anything is worse than in the first, beyond noise; 3 if not all was compared.",
        ),
    ] = False,
    as_json: Json = False,
    summary: Summary = None,
) -> None:
    """Put editors, or versions of one, side by side: what got better and what worse than in the first."""
    from stability.cli.steps.contenders import compare_runs
    from stability.report import comparison_text, render_comparison_markdown
    from stability.suite import load_suite

    comparison = compare_runs(runs, None if suite is None else load_suite(suite).spec)
    if as_json:
        typer.echo(json.dumps(comparison.as_dict(), indent=2))
    else:
        console(soft_wrap=True).print(comparison_text(comparison))
    Delivery(summary=summary).summarise(render_comparison_markdown(comparison))
    raise typer.Exit(comparison.exit_status(strict=strict))
