"""`stability check-editor`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stability.cli.steps.command import command
from stability.cli.steps.options import CheckedEditor
from stability.cli.steps.output import printed
from stability.errors import UsageError


@command("check-editor", place=9)
def check_editor(
    editor: Annotated[
        str | None,
        typer.Argument(
            metavar="EDITOR", help="A name, package.module:attribute or ./file.py:edit.", show_default=False
        ),
    ] = None,
    *,
    checked: CheckedEditor,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON in place of the table.")] = False,
    list_: Annotated[bool, typer.Option("--list", help="List the checks and what they ask.")] = False,
) -> None:
    """Check that an editor keeps to what the harness expects of one.

    Exit status: 0 no check failed, 1 one did, 2 the command line is wrong, 3 nothing could be checked.
    """
    from stability.cli.steps.conformance import check_list, conformance_text, run_checks
    from stability.cli.steps.progress import RichListener

    if list_:
        printed(check_list())
        return
    if editor is None:
        raise UsageError("check-editor: name an editor, such as rome or ./my_editor.py:edit; or give --list")
    with RichListener() as listener:
        conformance = run_checks(editor, checked, listener.stage)
    if as_json:
        typer.echo(json.dumps(conformance.as_json(), indent=2))
    else:
        printed(conformance_text(conformance))
    raise typer.Exit(conformance.exit_status)
