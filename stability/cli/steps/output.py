"""How a command hands over what it found: tables, annotations for GitHub, JSON, a job summary, a status."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stability.cli.steps.guarded import unguarded
from stability.cli.steps.options import Json, Summary
from stability.errors import RecordError, SuiteError, UsageError
from stability.files import append

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from stability.api import Report
    from stability.suite import SuiteFile

PLAIN_WIDTH = 120  # of a table that goes into a file or a pipe
JOB_SUMMARY = "GITHUB_STEP_SUMMARY"  # where GitHub's runner says which file takes a step's summary


class Format(StrEnum):
    """What goes with the table."""

    text = "text"
    github = "github"


@dataclass(frozen=True)
class Delivery:
    """What a command was asked to write, and where."""

    format: Annotated[
        Format,
        typer.Option(
            "--format",
            help="github: annotations at the suite's lines, too, and the summary of the job's step.",
        ),
    ] = Format.text
    as_json: Json = False
    summary: Summary = None

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around the work: what an editor prints stays out of the JSON, and a wrong suite is annotated.

        Raises:
            UsageError: a file for the summary cannot be written.
        """
        for file in self._summaries:
            try:
                file.open("ab").close()
            except OSError as error:
                raise UsageError(f"{file}: cannot write the summary: {error.strerror}") from error
        try:
            if self.as_json:
                with redirect_stdout(sys.stderr):
                    yield
            else:
                yield
        except SuiteError as error:
            if self.format is Format.github:
                from stability.report.github import render_problems

                self._annotate(render_problems(error.problems))
            raise

    def report(
        self, report: Report, suite: SuiteFile, table: Callable[[], None], *, strict: bool
    ) -> typer.Exit:
        """Write everything, and the exit to raise; `table` prints the verdicts for people."""
        from stability.report.github import render_github
        from stability.report.markdown import render_markdown

        status = report.judgement.exit_status(strict=strict)
        with reader_may_leave():
            if self.as_json:
                content = {**report.judgement.as_dict(), "exit_status": status}
                typer.echo(json.dumps(content, indent=2))
            elif self.format is Format.github:
                with commands_stopped():
                    table()
            else:
                table()
            if self.format is Format.github:
                self._annotate(render_github(report.record, report.judgement, suite=suite, strict=strict))
        self.summarise(render_markdown(report.record, report.judgement))
        return typer.Exit(status)

    def summarise(self, markdown: str) -> None:
        """Append Markdown to the files that were asked for.

        Raises:
            RecordError: a file cannot be written; it is as it was.
        """
        for file in self._summaries:
            try:
                append(file, f"{markdown}\n".encode(errors="replace"))
            except OSError as error:
                raise RecordError(f"{file}: cannot write the summary: {error.strerror}") from error

    @property
    def _summaries(self) -> list[Path]:
        files = [self.summary] if self.summary else []
        if self.format is Format.github and os.environ.get(JOB_SUMMARY):
            files.append(Path(os.environ[JOB_SUMMARY]))
        return files

    def _annotate(self, lines: str) -> None:
        """The runner reads both streams; JSON has stdout for itself."""
        typer.echo(lines, nl=False, file=unguarded(sys.stderr if self.as_json else sys.stdout))


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Around printing: whoever reads stdout may close it, and the exit status stays that of the verdicts."""
    try:
        yield
        if sys.stdout is not None:  # as of a process that is started without one
            sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())  # for what is left in the buffer
        os.close(nowhere)


@contextmanager
def commands_stopped() -> Iterator[None]:
    """Keep GitHub's runner from taking a printed line for a command: names in a report are anybody's."""
    token = secrets.token_hex(16)
    typer.echo(f"::stop-commands::{token}", file=unguarded(sys.stdout))
    try:
        yield
    finally:
        typer.echo(f"::{token}::", file=unguarded(sys.stdout))


def show(report: Report, folder: Path | None) -> None:
    """Print the verdict table, and where the page is that says more."""
    from stability.report.terminal import terminal_text

    written = console(soft_wrap=True)
    width = written.width if written.is_terminal else PLAIN_WIDTH
    written.print(terminal_text(report.record, report.judgement, folder=folder, width=width))


def printed(content: RenderableType, plain_width: int = PLAIN_WIDTH) -> None:
    """Print a table, as wide as the terminal, or as a file can well hold."""
    written = console()
    if not written.is_terminal:
        written.width = plain_width
    with reader_may_leave():
        written.print(content)


def console(*, soft_wrap: bool = False) -> Console:
    """Stdout, without colours of its own for numbers and paths."""
    from rich.console import Console

    class Printed(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would end the process with status 1, which says that a check failed

    return Printed(highlight=False, soft_wrap=soft_wrap)
