"""The verdict table on a terminal: a block for each editor, failed checks first, then how to run it again."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from stability.judge import EditorJudgement, Judgement, Status, Verdict
from stability.judge.words import failed_after
from stability.parts import RendererHead, part
from stability.printable import without_commands
from stability.record import Record
from stability.report.steps import wording

STYLES: dict[Status, str] = {
    "fail": "bold red",
    "error": "bold magenta",
    "warn": "yellow",
    "inconclusive": "yellow",
    "pass": "green",
    "skip": "dim",
}
WIDTH = 100
GAP = "  "
WIDEST = 40  # a longer cell does not widen its column


@part(RendererHead("terminal", "the verdict table, failed checks first"))
def render_terminal(
    record: Record, judgement: Judgement, *, folder: Path | None = None, width: int = WIDTH
) -> str:
    """The table as plain text; see `terminal_text`."""
    return without_commands(terminal_text(record, judgement, folder=folder, width=width).plain)


def terminal_text(
    record: Record, judgement: Judgement, *, folder: Path | None = None, width: int = WIDTH
) -> Text:
    """The table with colours; lines are at most `width` long, unless a name or command cannot be broken.

    `folder` is where the reports were written; one of the last lines points to it.
    """
    text = Text()
    for editor in judgement.editors:
        text.append(wording.headline(judgement, editor) + "\n\n", style="bold")
        _append_verdicts(text, editor, width)
        for note in _notes(editor):
            text.append(textwrap.fill(wording.clean(note), width, initial_indent=GAP) + "\n", style="yellow")
        text.append("\n")
    for note in judgement.notes:
        text.append(wording.clean(note) + "\n", style="yellow")
    if record.passed_over:
        said = f"edits: {wording.edits_source(record)}"
        text.append(textwrap.fill(wording.clean(said), width) + "\n", style="dim")
    text.append(wording.tally(judgement))
    if folder is not None:
        text.append(wording.clean(f" · {folder / 'report.html'}"))
    if again := wording.again(record, judgement):
        text.append("\nagain: " + wording.clean(again))
    return text


def _notes(editor: EditorJudgement) -> list[str]:
    failed = [f"seed {run.seed}: run failed: {run.error}" for run in editor.runs if run.status == "failed"]
    return [*failed, *editor.notes]


def _append_verdicts(text: Text, editor: EditorJudgement, width: int) -> None:
    rows = [(verdict, cells(verdict)) for verdict in editor.worst_first]
    columns = [
        max((len(row[column]) for _, row in rows if len(row[column]) <= WIDEST), default=0)
        for column in range(4)
    ]
    for verdict, row in rows:
        for index, line in enumerate(laid_out(row, tail(verdict), columns, width)):
            status = len(GAP) + len(row[0]) if index == 0 else 0
            text.append(line[:status], style=STYLES[verdict.status])
            text.append(line[status:] + "\n", style="dim" if verdict.status == "skip" else "")


def cells(verdict: Verdict) -> list[str]:
    """The cells of a row: status, check, value and bound, place or interval."""
    status = verdict.status.upper() if verdict.status in ("fail", "error") else verdict.status
    row = [status, wording.clean(verdict.check), "", ""]
    if verdict.value is not None and verdict.status != "skip":
        where = " ".join(part for part in (wording.place(verdict), wording.interval(verdict)) if part)
        row[2:] = [wording.assertion(verdict), wording.clean(where)]
    return row


def tail(verdict: Verdict) -> list[str]:
    """The text after the columns: bracket, margin, and further details."""
    problem = verdict.problem
    if problem is not None and problem.kind == "run_failed" and len(verdict.seeds) == 1:
        return [failed_after(problem.edits or 0)]  # the reason is given once, below the table
    if verdict.status in ("error", "skip"):  # the reason is all that matters
        return [wording.clean(verdict.message)]
    said = verdict.message if verdict.status != "inconclusive" else ""  # the status says it
    parts = (wording.bracket(verdict), wording.reach(verdict), verdict.coverage, said)
    return [wording.clean(part) for part in parts if part]


def laid_out(row: Sequence[str], rest: Sequence[str], columns: Sequence[int], width: int) -> list[str]:
    """The cells in their columns and the rest after them; what does not fit goes below, indented."""
    while not row[-1]:
        row, columns = row[:-1], columns[:-1]
    line = "".join(GAP + cell.ljust(column) for cell, column in zip(row, columns, strict=True))
    indent = " " * min(sum(columns[:3]) + 4 * len(GAP), int(0.6 * width))
    lines = [line]
    for said in rest:
        if len(lines[-1]) + len(GAP) + len(said) <= width:
            lines[-1] += (GAP if lines[-1] != indent else "") + said
        else:
            lines += textwrap.wrap(
                said, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
            )
    return [line.rstrip() for line in lines]
