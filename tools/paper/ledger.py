"""The figures of the claim ledger, docs/paper.md, as they stand in committed records."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stability.api import judge
from stability.trackers import tracked_runs

PAGE = "docs/paper.md"
RECORDS = {"world": "reports/sample", "smollm2": "reports/smollm2/known"}
SUITES = {"world": "suites/zoo.stability.yaml", "smollm2": "suites/smollm2.stability.yaml"}
NORM, LATE = ("weight_norm", "edited_max_ratio"), ("activation_norm", "late_min_ratio")
FIGURES: Mapping[str, tuple[str, ...]] = {  # by the row of the ledger: what its figures are
    "a": NORM,
    "b": NORM,
    "c": ("delta_norm", "edited_max"),
    "d": LATE,
    "e": ("probe_accuracy", "affected_mean"),
    "f": ("check", "task_drop", "world_choice"),
    "g": NORM,
    "i": NORM,
}
ROW = re.compile(r"^\| \((\w)\) ")
FIGURE = re.compile(r"`([\w()-]+)(?:@(\d+))?` (−?[\d.]+)")


@dataclass(frozen=True)
class Figure:
    """One figure of the page: of a model's record, after so many edits (the last, if none are said)."""

    row: str
    model: str
    editor: str
    edits: int | None
    shown: str


def shown_figures(page: str) -> Iterator[Figure]:
    """Every figure of the ledger's table: the columns behind the source's are `world` and `smollm2`."""
    for line in page.splitlines():
        row = ROW.match(line)
        if row is not None:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            for model, cell in zip(("world", "smollm2"), cells[2:4], strict=True):
                for editor, edits, value in FIGURE.findall(cell):
                    yield Figure(row[1], model, editor, int(edits) if edits else None, value)


def recorded(root: Path, model: str) -> dict[tuple[str, int | None, tuple[str, ...]], float]:
    """What a model's record has, by editor, number of edits (None too: the last) and figure."""
    report = judge(root / RECORDS[model] / "run.json", root / SUITES[model])
    found: dict[tuple[str, int | None, tuple[str, ...]], float] = {}
    for run in tracked_runs(report.record, report.judgement):
        for edits, values in run.points.items():
            for key, value in values.items():
                found[run.editor, edits, key] = found[run.editor, None, key] = value
    return found


def as_shown(value: float, like: str) -> str:
    """The value with as many digits as another is shown with; a minus as it is printed."""
    digits = len(like.partition(".")[2])
    return f"{value:.{digits}f}".replace("-", "−")
