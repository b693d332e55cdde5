"""`stability horizon`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from stability.cli.steps.command import command
from stability.cli.steps.interruption import interruption, same_command
from stability.cli.steps.options import HorizonOptions, Json, Overwrite, Resume, SuitePath, TrustRemoteCode
from stability.cli.steps.output import Delivery, printed
from stability.files import HORIZON_FILE


@command("horizon", place=3)
def horizon(
    suite: SuitePath,
    *,
    replaced: HorizonOptions,
    every: Annotated[
        bool, typer.Option("--every", help="Measure after every batch of edits, in place of bisecting.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for horizon.json.")] = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    as_json: Json = False,
    trust_remote_code: TrustRemoteCode = False,
) -> None:
    """Find the largest number of edits at which a suite still holds.

    Exit status: 0 it was found, 2 the suite or the command line is wrong, 3 something could not be measured,
    130 interrupted, 143 terminated.
    """
    from stability.api import Suite
    from stability.api.folder import search_folder
    from stability.cli.steps.progress import RichListener
    from stability.judge.verdict import plain
    from stability.report.steps.horizon import horizon_text

    loaded = Suite.load(suite).override(replaced.overrides())
    folder = out or loaded.folder()
    try:
        with RichListener() as listener, Delivery(as_json=as_json).working():
            found = loaded.horizon(
                every=every,
                out=folder,
                overwrite=overwrite,
                resume=resume,
                listener=listener,
                trust_remote_code=trust_remote_code,
            )
    except KeyboardInterrupt as error:
        word, status = interruption(error)
        left = search_folder(folder)
        kept = any(left.glob("*/*.json"))
        where = f"what was measured is in {left}" if kept else "nothing was measured yet"
        typer.echo(f"{word}; {where}; go on with: {same_command('--resume')}", err=True)
        raise typer.Exit(status) from None
    if as_json:
        typer.echo(json.dumps(plain(found.as_dict()), indent=2))
    else:
        printed(horizon_text(found.as_dict()))
        typer.echo(folder / HORIZON_FILE)
    raise typer.Exit(3 if found.error else 0)
