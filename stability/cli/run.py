"""`stability run`."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from stability.cli.steps.command import command
from stability.cli.steps.interruption import interruption, same_command
from stability.cli.steps.options import (
    Baselines,
    Figures,
    Isolated,
    Isolation,
    Out,
    Overwrite,
    Resume,
    RunOptions,
    Strict,
    SuitePath,
    TrustRemoteCode,
)
from stability.cli.steps.output import Delivery, printed, show
from stability.files import FIGURES_FOLDER, RECORD_FILE


@command("run", place=2)
def run(
    suite: SuitePath,
    *,
    replaced: RunOptions,
    out: Out = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    figures: Figures = False,
    strict: Strict = False,
    baselines: Baselines = None,
    delivery: Delivery,
    bisect: Annotated[
        bool, typer.Option("--bisect", help="Then find the exact number of edits that the suite holds.")
    ] = False,
    isolation: Isolation = Isolated.process,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Edit a model, measure at checkpoints, and judge."""
    from stability.api import Bench, Suite
    from stability.cli.steps.progress import RichListener
    from stability.report.steps.horizon import horizon_text

    with delivery.working():
        loaded = replace(Suite.load(suite), baselines=baselines).override(replaced.overrides())
    folder = out or loaded.folder()
    try:
        with RichListener() as listener, delivery.working():
            bench = Bench()
            report = loaded.run(
                out=folder,
                overwrite=overwrite,
                listener=listener,
                trust_remote_code=trust_remote_code,
                bench=bench,
                isolation=isolation.value,
                resume=resume,
            )
            found = (
                loaded.horizon(out=folder, overwrite=overwrite, listener=listener, bench=bench, resume=resume)
                if bisect
                else None
            )
    except KeyboardInterrupt as error:
        word, status = interruption(error)
        record = folder / RECORD_FILE
        where = f"what was measured is in {record}" if record.exists() else "nothing was measured yet"
        again = same_command("--resume")
        typer.echo(f"{word}; {where}; go on with: {again}", err=True)
        raise typer.Exit(status) from None
    if figures:
        report.plot(folder / FIGURES_FOLDER)
    ended = delivery.report(report, loaded.file, lambda: show(report, folder), strict=strict)
    if found is not None and not delivery.as_json:
        printed(horizon_text(found.as_dict()))
    raise ended
