"""The command line: one file a command, each found by its head.

Exit status: 0 all held, 1 a check failed (`--strict`: or warned), 2 the suite or the command line is wrong,
3 something could not be measured or an error that nobody foresaw, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

import inspect
import io
import logging
import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from stability.cli.steps.guarded import LineFormatter, guarded_streams
from stability.cli.steps.interruption import interruptible, interruption
from stability.errors import StabilityError, with_traceback
from stability.parts import COMMANDS

__all__ = ["app", "main"]


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"stability-harness {version('stability-harness')}")
        raise typer.Exit


def _whole(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """The options that belong to no command."""


def application() -> typer.Typer:
    """The command line, made of every command; one whose name begins another's is a group."""
    app = typer.Typer(
        help="Edit a language model N times with any editor, and judge whether it is still whole.",
        callback=_whole,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    parts = sorted(COMMANDS.built_in().values(), key=lambda part: (part.head.place, part.head.name))
    groups = {part.head.name.rpartition(" ")[0]: app for part in parts}
    for part in parts:
        group, _, name = part.head.name.rpartition(" ")
        if name in groups:
            groups[name] = typer.Typer(help=inspect.getdoc(part.made), no_args_is_help=True)
            app.add_typer(groups[name], name=name)
        else:
            groups[group].command(name)(part.made)
    return app


app = application()


def main() -> None:
    """Entry point: errors of ours become one line each on stderr, and their exit status."""
    for stream in (sys.stdout, sys.stderr):  # a name that the terminal cannot show is no failure
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    with guarded_streams(), interruptible():
        handler = logging.StreamHandler()
        handler.setFormatter(LineFormatter("%(levelname)s: %(message)s"))
        logging.basicConfig(level=logging.WARNING, handlers=[handler])
        logging.captureWarnings(True)
        _run()


def _run() -> None:
    try:
        app()
    except StabilityError as error:
        _say(str(error))
        sys.exit(error.exit_status)
    except Exception as error:  # 1 would mean that a check failed
        from stability.writer import FULL

        if isinstance(error, OSError) and error.errno in FULL and error.filename is None:
            _say(f"cannot be printed: {error.strerror}")
        else:
            _say(unforeseen(error))
        sys.exit(StabilityError.exit_status)
    except KeyboardInterrupt as error:
        word, status = interruption(error)
        _say(word)
        sys.exit(status)


def _say(message: str) -> None:
    """Print a message to stderr, if anybody reads that; what is said does not change the status."""
    try:
        typer.echo(message, err=True)
    except OSError:
        with suppress(OSError, ValueError):  # what is left in the buffer would make it 120 at exit
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stderr.fileno())
            os.close(nowhere)


def unforeseen(error: Exception) -> str:
    """One line for an error that nobody foresaw, with the file that its traceback was written to."""
    return f"stability has an error that nobody foresaw: {with_traceback(error)}; please report it"


if __name__ == "__main__":
    main()
