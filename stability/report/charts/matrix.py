"""The table of first failures: a row for each editor, a column for each check."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from stability.judge import EditorJudgement, Judgement, Status, Verdict
from stability.report.steps import wording

SIGNS: dict[Status, str] = {
    "fail": "✗", "error": "!", "warn": "△", "inconclusive": "?", "pass": "✓", "skip": "–",
}  # fmt: skip


@dataclass(frozen=True)
class MatrixCell:
    """One check's verdict on one editor; `status` is None if the check does not apply to the editor."""

    status: Status | None = None
    sign: str = ""
    at: int | None = None  # the number of edits after which it first failed
    words: str = "not asked"  # the verdict in words


@dataclass(frozen=True)
class MatrixRow:
    """One editor: its index in the judgement, and a cell for each check."""

    index: int
    editor: EditorJudgement
    first: str  # `task_drop[choice] at 60`; empty if none failed
    cells: tuple[MatrixCell, ...]


@dataclass(frozen=True)
class VerdictMatrix:
    """Editors, from the one that fails first to those that hold, and all checks that apply to any.

    The checks that any editor fails come first, then those that could not be measured, and so on.
    """

    checks: tuple[str, ...]
    rows: tuple[MatrixRow, ...]


def matrix(judgement: Judgement) -> VerdictMatrix:
    """The matrix of a judgement."""
    checks = ordered(judgement)
    rows = [row(index, editor, checks) for index, editor in enumerate(judgement.editors)]
    return VerdictMatrix(checks, tuple(sorted(rows, key=lambda row: urgency(row.editor))))


def ordered(judgement: Judgement) -> tuple[str, ...]:
    """The checks by the worst that any editor's verdict on them is; otherwise as they were judged."""
    ranks = {status: rank for rank, status in enumerate(SIGNS)}
    worst: dict[str, int] = {}
    for verdict in judgement.verdicts:
        rank = ranks[verdict.status]
        worst[verdict.check] = min(rank, worst.get(verdict.check, rank))
    return tuple(sorted(worst, key=lambda check: worst[check]))


def row(index: int, editor: EditorJudgement, checks: Sequence[str]) -> MatrixRow:
    """One editor's row."""
    by_check = {verdict.check: verdict for verdict in editor.verdicts}
    failed = first_failed(editor)
    return MatrixRow(
        index=index,
        editor=editor,
        first="" if failed is None else f"{failed.check} at {failed.failed_at}",
        cells=tuple(cell(by_check[check]) if check in by_check else MatrixCell() for check in checks),
    )


def cell(verdict: Verdict) -> MatrixCell:
    """A verdict as a sign and in words."""
    value = "" if verdict.value is None else f" {wording.assertion(verdict)}"
    words = f"{verdict.status}{value} {wording.bracket(verdict)}".strip()
    return MatrixCell(verdict.status, SIGNS[verdict.status], verdict.failed_at, words)


def first_failed(editor: EditorJudgement) -> Verdict | None:
    """The check that failed after the fewest edits; one that only warned did not fail."""
    failed = [verdict for verdict in editor.verdicts if verdict.status == "fail"]
    return min(failed, key=_failed_at, default=None)


def urgency(editor: EditorJudgement) -> tuple[bool, bool, float]:
    """Sort key: editors that fail, those not measured, the rest; each by when they first failed or warned."""
    warned = [_failed_at(verdict) for verdict in editor.verdicts if verdict.status == "warn"]
    failed = first_failed(editor)
    at = min(warned, default=math.inf) if failed is None else _failed_at(failed)
    return not editor.counts["fail"], not editor.counts["error"], at


def _failed_at(verdict: Verdict) -> float:
    return math.inf if verdict.failed_at is None else verdict.failed_at
