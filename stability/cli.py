"""The command line: `stability run`, `judge`, `schema`, `editors`, `metrics`.

Exit status: 0 all held, 1 a check failed (`--strict`: or warned), 2 the suite or the command line is wrong,
3 something could not be measured, 130 interrupted.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from stability.api import RECORD_FILE, Report, Suite
from stability.errors import StabilityError
from stability.record import Record, read_record
from stability.report import terminal_text
from stability.suite import SuiteSpec
from stability.suite.overrides import Overrides

INTERRUPTED = 130
PLAIN_WIDTH = 120  # of a table that goes into a file or a pipe

app = typer.Typer(
    help="Edit a language model N times with any editor, and judge whether it is still whole.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SuitePath = Annotated[
    Path, typer.Argument(metavar="SUITE", help="A suite file, such as suites/smoke.stability.yaml.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Let a warning fail, too.")]


@app.command()
def run(
    suite: SuitePath,
    model: Annotated[
        str | None, typer.Option(help="'world', a hub name or a folder, in place of the suite's.")
    ] = None,
    editor: Annotated[
        list[str] | None,
        typer.Option(
            help="A name, package.module:attribute or ./file.py:edit, in place of the suite's; repeatable."
        ),
    ] = None,
    edits: Annotated[int | None, typer.Option(min=1, help="How many edits are made.")] = None,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="Seeds, in place of the suite's; repeatable.")
    ] = None,
    checkpoint: Annotated[
        list[int] | None, typer.Option(min=1, help="Measure after so many edits; repeatable.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="rome.layers=[17], run.edits.batch=10, …; repeatable."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for run.json and the reports.")] = None,
    strict: Strict = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that comes with a model's repository.")
    ] = False,
) -> None:
    """Edit a model, measure at checkpoints, and judge."""
    changes = Overrides(
        model, tuple(editor or ()), edits, tuple(seed or ()), tuple(checkpoint or ()), tuple(set_ or ())
    )
    loaded = Suite.load(suite).override(changes)
    folder = out or loaded.folder()
    errors = Console(stderr=True)
    try:
        with RichListener(errors) as listener:
            report = loaded.run(out=folder, listener=listener, trust_remote_code=trust_remote_code)
    except KeyboardInterrupt:
        record = folder / RECORD_FILE
        where = f"what was measured is in {record}" if record.exists() else "nothing was measured yet"
        errors.print(f"interrupted; {where}", highlight=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    show(report, folder)
    raise typer.Exit(report.judgement.exit_status(strict=strict))


@app.command("judge")
def judge_command(
    record: Annotated[
        Path, typer.Argument(metavar="RUN.JSON", help="A record, or the folder that holds one.")
    ],
    suite: Annotated[
        Path | None, typer.Option(help="Judge by this suite, not by the one that was run.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the reports into this folder.")] = None,
    strict: Strict = False,
) -> None:
    """Judge a record again, by its own suite or another; needs no model."""
    path = record / RECORD_FILE if record.is_dir() else record
    kept = read_record(path)
    report = (Suite.load(suite) if suite else Suite.parse(kept.suite_text)).judge(kept)
    if out is not None:
        report.write(out)
    show(report, out)
    raise typer.Exit(report.judgement.exit_status(strict=strict))


@app.command()
def schema(
    record: Annotated[bool, typer.Option("--record", help="The schema of run.json instead.")] = False,
) -> None:
    """Write the JSON Schema of suite files, for editors that complete and check YAML."""
    kind = Record if record else SuiteSpec
    typer.echo(json.dumps(kind.model_json_schema(by_alias=True), indent=2))


@app.command()
def editors() -> None:
    """List the editors that can be called by name, with their settings and presets."""
    from stability.editors import list_editors

    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, show_header=False)
    for entry in list_editors():
        table.add_row(f"[bold]{entry.name}[/bold]", escape(entry.summary))
        if entry.source != "built-in":
            table.add_row("", f"[dim]{escape(entry.source)}[/dim]")
        if entry.settings:
            table.add_row("", f"[dim]{escape('  '.join(entry.settings))}[/dim]")
        if entry.models:
            table.add_row("", f"[dim]presets: {escape(', '.join(entry.models))}[/dim]")
    console.print(table)


@app.command()
def metrics() -> None:
    """List the metrics that a check can ask for."""
    from stability.metrics import METRICS
    from stability.vocabulary import COSTS

    table = Table("metric", "a value for each", "unit", "what it measures", box=None, pad_edge=False)
    for name, metric in sorted(METRICS.items()):
        over = "run" if metric.over == "scalar" else metric.over
        table.add_row(name, over, metric.unit, escape(metric.summary))
    for name, summary in sorted(COSTS.items()):
        table.add_row(name, "run", "", escape(summary))
    Console().print(table)


class RichListener:
    """Shows a run's progress on a terminal; on anything else, a line for each stage would only be noise."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> RichListener:
        self._progress.start()
        self._task = self._progress.add_task("loading", total=None)
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def stage(self, text: str) -> None:
        """Show the stage's name."""
        if self._task is not None:
            self._progress.update(self._task, description=escape(text))

    def edits(self, label: str, done: int, total: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(
                self._task, description=f"{escape(label)}: editing", completed=done, total=total
            )


def show(report: Report, folder: Path | None) -> None:
    """Print the verdict table, and where the page is that says more."""
    console = Console(highlight=False, soft_wrap=True)
    width = console.width if console.is_terminal else PLAIN_WIDTH
    console.print(terminal_text(report.record, report.judgement, folder=folder, width=width))


def main() -> None:
    """Entry point: errors of ours become one line each on stderr, and their exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    try:
        app()
    except StabilityError as error:
        for line in str(error).splitlines():
            typer.echo(line, err=True)
        sys.exit(error.exit_status)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
