"""The command line's reference, from the application itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from sources import code, prose, table

from stability.cli import app


def command_line() -> str:
    """Every command with its arguments and options."""
    root = typer.main.get_command(app)
    parts = [
        "# Command line",
        prose(root.help or ""),
        "`python -m stability` is the same. Every command takes `-h` and `--help`; "
        "`stability --version` says which one it is, and `stability --install-completion` lets the shell "
        "complete commands and options. "
        "What a status means is in [exit status](exit-status.md).",
        *_commands(root, "stability", typer.Context(root, info_name="stability")),
    ]
    return "\n\n".join(parts) + "\n"


def _commands(group: Any, path: str, parent: typer.Context) -> Iterator[str]:
    """Each command of a group, by name, and those of groups in it."""
    for name, command in sorted(group.commands.items()):
        context = typer.Context(command, info_name=name, parent=parent)
        called = f"{path} {name}"
        yield f"## {called}"
        yield "\n\n".join(prose(" ".join(part.split())) for part in (command.help or "").split("\n\n"))
        if hasattr(command, "commands"):
            yield from _commands(command, called, context)
            continue
        yield f"```text\n{called} {' '.join(command.collect_usage_pieces(context))}\n```"
        for kind in ("argument", "option"):
            rows = [
                (code(_called(record[0])), prose(" ".join(record[1].split())))
                for param in command.params
                if param.param_type_name == kind and (record := param.get_help_record(context))
            ]
            if rows:
                yield table((kind, "meaning"), rows)


def _called(words: str) -> str:
    """`--seed <list[int]>` as `--seed <int>`, and `SUITE <path>` as `SUITE`."""
    name, _, kind = words.partition(" <")
    if not kind or not name.startswith("-"):
        return name
    kind = kind.removesuffix(">").removesuffix(" range")
    return f"{name} <{kind.removeprefix('list[').removesuffix(']')}>"
