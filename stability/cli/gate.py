"""`stability gate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stability.cli.steps.command import command
from stability.cli.steps.interruption import interruption, same_command
from stability.cli.steps.options import Out, Overwrite, Strict
from stability.cli.steps.output import Delivery, printed, show
from stability.files import RECORD_FILE
from stability.gate.levels import Level


@command("gate", place=4)
def gate(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The unedited model's folder, or 'world'.")],
    edited: Annotated[str, typer.Argument(metavar="EDITED", help="The edited model's folder.")],
    *,
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
    out: Out = None,
    overwrite: Overwrite = False,
    strict: Strict = False,
    delivery: Delivery,
) -> None:
    """Judge an edited checkpoint on disk against the one that it was made from."""
    from stability import api
    from stability.cli.steps.progress import RichListener
    from stability.gate import default_suite
    from stability.gate.table import changes_text
    from stability.suite.overrides import Overrides

    try:
        with RichListener() as listener, delivery.working():
            by = api.Suite.load(suite or default_suite()).override(Overrides(settings=tuple(set_ or ())))
            report = api.gate(
                base, edited, by, level=level, edits=edits, out=out, overwrite=overwrite, listener=listener
            )
    except KeyboardInterrupt as error:
        word, status = interruption(error)
        record = None if out is None else out / RECORD_FILE
        kept = record is not None and record.exists()
        where = f"what was measured is in {record}" if kept else "nothing is kept"
        typer.echo(f"{word}; {where}; begin again with: {same_command('--overwrite')}", err=True)
        raise typer.Exit(status) from None
    changes = changes_text(report.record)

    def table() -> None:
        if changes is not None:
            printed(changes)
            printed("")
        show(report, out)

    raise delivery.report(report, by.file, table, strict=strict)
