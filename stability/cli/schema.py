"""`stability schema`."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from stability.cli.steps.command import command


@command("schema", place=10)
def schema(
    record: Annotated[bool, typer.Option("--record", help="The schema of run.json instead.")] = False,
) -> None:
    """Write the JSON Schema of suite files, for editors that complete and check YAML."""
    from stability.record import Record
    from stability.suite import SuiteSpec

    kind = Record if record else SuiteSpec
    typer.echo(json.dumps(kind.model_json_schema(by_alias=True), indent=2))
