"""A record with the verdicts of a suite, to read, write and draw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stability.api.folder import is_same_run
from stability.errors import RecordError
from stability.files import RECORD_FILE
from stability.judge import Judgement, Verdict
from stability.printable import without_commands, without_controls
from stability.record import Record
from stability.record.file import read_record, write_atomically, write_record
from stability.report import render_terminal
from stability.report.explain.explain import explain, explanation_lines
from stability.report.steps.files import rendered_files
from stability.report.steps.wording import again, assertion, details
from stability.writer import sole_writer

INDENT = "    "
TEXT_WIDTH = 100  # of an explanation


class StabilityFailure(AssertionError):  # noqa: N818  (a failing suite is not an error of the program)
    """A suite did not hold; the message is the verdict table."""


@dataclass(frozen=True)
class Report:
    """A record and its judgement by a suite."""

    record: Record
    judgement: Judgement

    @property
    def passed(self) -> bool:
        """Whether every check held: nothing failed, and nothing could not be measured."""
        return self.judgement.exit_status() == 0

    def __str__(self) -> str:
        return render_terminal(self.record, self.judgement)

    def verdict(self, check: str, editor: str | None = None) -> Verdict:
        """The verdict of a check, such as `edited_weight_norm` or `task_drop[mmlu]`.

        Raises:
            KeyError: there is none of that name, or several editors have one and none is named.
        """
        found = [
            verdict
            for verdict in self.judgement.verdicts
            if verdict.check == check and editor in (None, verdict.editor)
        ]
        if len(found) != 1:
            known = ", ".join(f"{verdict.editor}: {verdict.check}" for verdict in self.judgement.verdicts)
            raise KeyError(f"{len(found)} verdicts are called {check!r}; there are {known}")
        return found[0]

    def explain(self, verdict: Verdict) -> str:
        """What a verdict says, in lines: value and bound, where, since which edit, and what runs it again.

        One that did not hold is explained, too: what it means, and what to try.
        """
        lines = [
            f"{verdict.check} ({verdict.editor}): {verdict.status}: {assertion(verdict)}",
            *details(verdict),
        ]
        explanation = explain(self.record, self.judgement, verdict)
        if explanation is not None:
            lines += explanation_lines(explanation, width=TEXT_WIDTH - len(INDENT))
        command = again(self.record, self.judgement)
        text = f"\n{INDENT}".join([*lines, *([f"again: {command}"] if command else [])])
        return without_commands(without_controls(text))

    def only(self, editor: str, checks: Sequence[str]) -> Report:
        """The same, cut down to these checks of one editor."""
        kept = [
            replace(one, verdicts=tuple(verdict for verdict in one.verdicts if verdict.check in checks))
            for one in self.judgement.editors
            if one.editor == editor
        ]
        return Report(self.record, replace(self.judgement, editors=tuple(kept)))

    def raise_for_failures(self) -> None:
        """Do nothing if the suite held.

        Raises:
            StabilityFailure: with the verdict table, if it did not.
        """
        if not self.passed:
            raise StabilityFailure(str(self))

    def write(self, folder: str | Path) -> Path:
        """Write the record and the file of every renderer that has one, each atomically; returns the folder.

        These are run.json, which is left as it is if this run has written it, report.md, report.html and
        junit.xml; then those of other packages.

        Raises:
            UsageError: another process writes into the folder, or it cannot be written to.
            RecordError: the disk is full, or the folder holds the record of another run.
            RendererError: a renderer of another package failed, after the others have written theirs.
        """
        with sole_writer(Path(folder)):
            return write_files(self, Path(folder))

    def plot(
        self,
        folder: str | Path,
        *,
        names: Sequence[str] = (),
        editors: Sequence[str] = (),
        formats: Sequence[str] = ("svg", "png"),
        dpi: int = 200,
    ) -> list[Path]:
        """Write the figures into a folder, all or those of these names and editors; returns the files.

        `formats` are of svg, png and pdf.

        Raises:
            UsageError: no figure, editor or format is called so, or the record has nothing for a figure.
        """
        from stability.report.charts.files import write_figures

        return write_figures(self.record, self.judgement, Path(folder), names, editors, formats, dpi)


def write_files(report: Report, folder: Path) -> Path:
    """Do what `Report.write` does, in a folder that is this process's to write into already."""
    path = folder / RECORD_FILE
    if not path.exists():
        write_record(report.record, path)
    elif not is_same_run(read_record(path), report.record):
        raise RecordError(f"{path} is the record of another run; write the report into another folder")
    for name, text in rendered_files(report.record, report.judgement):
        write_atomically(folder / name, text)
    return folder
