"""How a command hands over its report: a table, annotations for GitHub, JSON, a job summary."""

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
from typing import Annotated

import typer

from stability.api import Report
from stability.errors import SuiteError, UsageError
from stability.report import render_markdown
from stability.report.github import render_github, render_problems
from stability.suite import SuiteFile

JOB_SUMMARY = "GITHUB_STEP_SUMMARY"  # where GitHub's runner says which file takes a step's summary


class Format(StrEnum):
    """What goes with the table."""

    text = "text"
    github = "github"


FormatOption = Annotated[
    Format,
    typer.Option(
        "--format", help="github: annotations at the suite's lines, too, and the summary of the job's step."
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Write the verdicts as JSON to stdout, in place of the table.")
]
SummaryOption = Annotated[
    Path | None, typer.Option("--summary", metavar="FILE", help="Append the report to a file, as Markdown.")
]


@dataclass(frozen=True)
class Delivery:
    """What a command was asked to write, and where."""

    format: Format = Format.text
    as_json: bool = False
    summary: Path | None = None
    strict: bool = False

    @contextmanager
    def working(self) -> Iterator[None]:
        """Around the work: what an editor prints stays out of the JSON, and a wrong suite is annotated."""
        try:
            if self.as_json:
                with redirect_stdout(sys.stderr):
                    yield
            else:
                yield
        except SuiteError as error:
            if self.format is Format.github:
                self._annotate(render_problems(error.problems))
            raise

    def report(self, report: Report, suite: SuiteFile, table: Callable[[], None]) -> None:
        """Write everything; `table` prints the verdicts for people."""
        if self.as_json:
            content = report.judgement.as_dict()
            content["exit_status"] = report.judgement.exit_status(strict=self.strict)
            typer.echo(json.dumps(content, indent=2))
        elif self.format is Format.github:
            with commands_stopped():
                table()
        else:
            table()
        if self.format is Format.github:
            self._annotate(render_github(report.record, report.judgement, suite=suite, strict=self.strict))
        self.summarise(render_markdown(report.record, report.judgement))

    def summarise(self, markdown: str) -> None:
        """Append Markdown to the files that were asked for.

        Raises:
            UsageError: a file cannot be written.
        """
        files = [self.summary] if self.summary else []
        if self.format is Format.github and os.environ.get(JOB_SUMMARY):
            files.append(Path(os.environ[JOB_SUMMARY]))
        for file in files:
            try:
                with file.open("a", encoding="utf-8") as stream:
                    stream.write(markdown + "\n")
            except OSError as error:
                raise UsageError(f"{file}: cannot write the summary: {error.strerror}") from error

    def _annotate(self, lines: str) -> None:
        """The runner reads both streams; JSON has stdout for itself."""
        typer.echo(lines, nl=False, err=self.as_json)


@contextmanager
def commands_stopped() -> Iterator[None]:
    """Keep GitHub's runner from taking a printed line for a command: names in a report are anybody's."""
    token = secrets.token_hex(16)
    typer.echo(f"::stop-commands::{token}")
    try:
        yield
    finally:
        typer.echo(f"::{token}::")
