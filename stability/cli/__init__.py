"""The command line: `stability run`, `gate`, `judge`, `compare`, `baseline`, `horizon`, `check-editor` ...

Exit status: 0 all held, 1 a check failed (`--strict`: or warned), 2 the suite or the command line is wrong,
3 something could not be measured, 130 interrupted.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from stability.api import HORIZON_FILE, RECORD_FILE, Bench, Report, Suite, gate
from stability.cli.baseline import app as baseline_app
from stability.cli.compare import compare
from stability.cli.export import export
from stability.cli.log import log
from stability.cli.output import Delivery, Format, FormatOption, JsonOption, SummaryOption
from stability.cli.plot import FIGURES_FOLDER, FiguresOption, plot_command
from stability.errors import StabilityError, UsageError
from stability.gate import Level, default_suite
from stability.gate.table import changes_text
from stability.judge.verdict import plain
from stability.record import Record, read_record
from stability.report import comparison_text, render_comparison_markdown, terminal_text
from stability.report.steps.horizon import horizon_text
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

app.add_typer(baseline_app, name="baseline")
app.command("plot")(plot_command)

SuitePath = Annotated[
    Path, typer.Argument(metavar="SUITE", help="A suite file, such as suites/smoke.stability.yaml.")
]
Strict = Annotated[bool, typer.Option("--strict", help="Let a warning fail, too.")]
Baselines = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Earlier records to compare with; default: baselines/ beside the suite."
    ),
]


TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run code that comes with a model's repository.")
]


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
    figures: FiguresOption = False,
    strict: Strict = False,
    baselines: Baselines = None,
    format_: FormatOption = Format.text,
    as_json: JsonOption = False,
    summary: SummaryOption = None,
    bisect: Annotated[
        bool, typer.Option("--bisect", help="Then find the exact number of edits that the suite holds.")
    ] = False,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Edit a model, measure at checkpoints, and judge."""
    changes = Overrides(
        model, tuple(editor or ()), edits, tuple(seed or ()), tuple(checkpoint or ()), tuple(set_ or ())
    )
    delivery = Delivery(format_, as_json, summary, strict)
    with delivery.working():
        loaded = replace(Suite.load(suite), baselines=baselines).override(changes)
    folder = out or loaded.folder()
    errors = Console(stderr=True)
    try:
        with RichListener(errors) as listener, delivery.working():
            bench = Bench()
            report = loaded.run(
                out=folder, listener=listener, trust_remote_code=trust_remote_code, bench=bench
            )
            found = loaded.horizon(out=folder, listener=listener, bench=bench) if bisect else None
    except KeyboardInterrupt:
        record = folder / RECORD_FILE
        where = f"what was measured is in {record}" if record.exists() else "nothing was measured yet"
        errors.print(f"interrupted; {where}", highlight=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    if figures:
        report.plot(folder / FIGURES_FOLDER)
    delivery.report(report, loaded.file, lambda: show(report, folder))
    if found is not None and not as_json:
        _print(horizon_text(found.as_dict()))
    raise typer.Exit(report.judgement.exit_status(strict=strict))


@app.command("horizon")
def horizon_command(
    suite: SuitePath,
    model: Annotated[
        str | None, typer.Option(help="'world', a hub name or a folder, in place of the suite's.")
    ] = None,
    editor: Annotated[
        list[str] | None, typer.Option(help="In place of the suite's, as for 'run'; repeatable.")
    ] = None,
    edits: Annotated[int | None, typer.Option(min=1, help="The most edits that are tried.")] = None,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, help="Seeds, in place of the suite's; repeatable.")
    ] = None,
    checkpoint: Annotated[
        list[int] | None, typer.Option(min=1, help="Where to look first, in order; repeatable.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="As for 'run'; repeatable.")
    ] = None,
    every: Annotated[
        bool, typer.Option("--every", help="Measure after every batch of edits, in place of bisecting.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for horizon.json.")] = None,
    as_json: JsonOption = False,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Find the largest number of edits at which a suite still holds.

    Exit status: 0 it was found, 2 the suite or the command line is wrong, 3 something could not be measured.
    """
    changes = Overrides(
        model, tuple(editor or ()), edits, tuple(seed or ()), tuple(checkpoint or ()), tuple(set_ or ())
    )
    loaded = Suite.load(suite).override(changes)
    folder = out or loaded.folder()
    with RichListener(Console(stderr=True)) as listener, Delivery(as_json=as_json).working():
        found = loaded.horizon(
            every=every, out=folder, listener=listener, trust_remote_code=trust_remote_code
        )
    if as_json:
        typer.echo(json.dumps(plain(found.as_dict()), indent=2))
    else:
        _print(horizon_text(found.as_dict()))
        typer.echo(folder / HORIZON_FILE)
    raise typer.Exit(3 if found.error else 0)


@app.command("gate")
def gate_command(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The unedited model's folder, or 'world'.")],
    edited: Annotated[str, typer.Argument(metavar="EDITED", help="The edited model's folder.")],
    suite: Annotated[
        Path | None, typer.Option(metavar="SUITE", help="A suite; default: suites/gate.stability.yaml.")
    ] = None,
    level: Annotated[
        Level, typer.Option(help="weights: read the files only; the others load both models, in turn.")
    ] = Level.weights,
    edits: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The edits that were made: ask the edited model.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="may_change.layers=13-17, model.dtype=…; repeatable."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for run.json and the reports.")] = None,
    strict: Strict = False,
    format_: FormatOption = Format.text,
    as_json: JsonOption = False,
    summary: SummaryOption = None,
) -> None:
    """Judge an edited checkpoint on disk against the one that it was made from."""
    delivery = Delivery(format_, as_json, summary, strict)
    with RichListener(Console(stderr=True)) as listener, delivery.working():
        by = Suite.load(suite or default_suite()).override(Overrides(settings=tuple(set_ or ())))
        report = gate(base, edited, by, level=level, edits=edits, out=out, listener=listener)
    changes = changes_text(report.record)

    def table() -> None:
        if changes is not None:
            _print(changes)
            _print("")
        show(report, out)

    delivery.report(report, by.file, table)
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
    figures: FiguresOption = False,
    strict: Strict = False,
    baselines: Baselines = None,
    format_: FormatOption = Format.text,
    as_json: JsonOption = False,
    summary: SummaryOption = None,
) -> None:
    """Judge a record again, by its own suite or another; needs no model."""
    path = record / RECORD_FILE if record.is_dir() else record
    kept = read_record(path)
    delivery = Delivery(format_, as_json, summary, strict)
    with delivery.working():
        by = replace(Suite.load(suite) if suite else Suite.of(kept), baselines=baselines)
    report = by.judge(kept, path)
    if out is not None:
        report.write(out)
    if figures:
        report.plot((out or path.parent) / FIGURES_FOLDER)
    delivery.report(report, by.file, lambda: show(report, out))
    raise typer.Exit(report.judgement.exit_status(strict=strict))


@app.command("compare")
def compare_command(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Records, or the folders that hold them; baselines, too."),
    ],
    suite: Annotated[
        Path | None, typer.Option(help="Compare by the checks of this suite, not of the first run's.")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 1 if anything is worse than in the first, beyond noise.")
    ] = False,
    as_json: JsonOption = False,
    summary: SummaryOption = None,
) -> None:
    """Put editors, or versions of one, side by side: what got better and what worse than in the first."""
    loaded = None if suite is None else Suite.load(suite)
    comparison = compare(runs, loaded.file.spec if loaded else None)
    if as_json:
        typer.echo(json.dumps(comparison.as_dict(), indent=2))
    else:
        Console(highlight=False, soft_wrap=True).print(comparison_text(comparison))
    Delivery(summary=summary).summarise(render_comparison_markdown(comparison))
    raise typer.Exit(1 if strict and comparison.is_worse else 0)


app.command()(export)
app.command()(log)


@app.command("check-editor")
def check_editor_command(
    editor: Annotated[
        str | None,
        typer.Argument(
            metavar="EDITOR", help="A name, package.module:attribute or ./file.py:edit.", show_default=False
        ),
    ] = None,
    model: Annotated[str, typer.Option(help="'world', a hub name or a folder.")] = "world",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="my_editor.lr=1e-3, model.dtype=…; repeatable."),
    ] = None,
    check: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Make this check only; repeatable.")
    ] = None,
    skip: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Leave this check out; repeatable.")
    ] = None,
    edits: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Seven edits or more, in place of those built in."),
    ] = None,
    may_change: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Parameters that the editor may change; repeatable."),
    ] = None,
    adds_modules: Annotated[
        bool, typer.Option("--adds-modules", help="The editor leaves modules of its own in the model.")
    ] = False,
    share: Annotated[
        float, typer.Option(min=0, max=1, help="How many edits must win over the true target.")
    ] = 0.6,
    seed: Annotated[int, typer.Option(min=0, help="Of the edits and the editor.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON in place of the table.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the checks and what they ask.")] = False,
) -> None:
    """Check that an editor keeps to what the harness expects of one.

    Exit status: 0 no check failed, 1 one did, 2 the command line is wrong, 3 nothing could be checked.
    """
    from stability.cli.check_editor import check_list, conformance_text, run_checks

    if list_:
        _print(check_list())
        return
    if editor is None:
        raise UsageError("check-editor: name an editor, such as rome or ./my_editor.py:edit; or give --list")
    with RichListener(Console(stderr=True)) as listener:
        conformance = run_checks(
            editor,
            model=model,
            settings=tuple(set_ or ()),
            checks=tuple(check or ()),
            skip=tuple(skip or ()),
            edits=edits,
            may_change=tuple(may_change or ()),
            adds_modules=adds_modules,
            share=share,
            seed=seed,
            on_check=listener.stage,
        )
    if as_json:
        typer.echo(json.dumps(conformance.as_json(), indent=2))
    else:
        _print(conformance_text(conformance))
    raise typer.Exit(conformance.exit_status)


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
    from stability.parts import COSTS, GATE

    table = Table("metric", "a value for each", "unit", "what it measures", box=None, pad_edge=False)
    for name, metric in sorted(METRICS.items()):
        over = "run" if metric.over == "scalar" else metric.over
        table.add_row(name, over, metric.unit, escape(metric.summary))
    for name, summary in sorted({**COSTS, **GATE}.items()):
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


def _print(content: RenderableType) -> None:
    """Print a table, as wide as the terminal, or as a file can well hold."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PLAIN_WIDTH
    console.print(content)


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
