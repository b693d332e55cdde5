"""What a figure is made of, beside its charts."""

from __future__ import annotations

from dataclasses import dataclass

from stability.report.series import EditorRuns
from stability.report.svg import Axis

COLOURS = 6  # styles c0 to c5 of the page


@dataclass(frozen=True)
class Entry:
    """A line of a legend: a style of the page, and its name."""

    style: str
    label: str


@dataclass(frozen=True)
class Figure:
    """One or more charts with a title, a legend, and a caption that says what to look for."""

    title: str
    caption: str
    charts: tuple[str, ...]
    legend: tuple[Entry, ...] = ()


def edits_axis(editor: EditorRuns) -> Axis:
    """From 0 to the last checkpoint."""
    last = max((point.edits for run in editor.runs for point in run.checkpoints), default=1)
    return Axis(0, last, "edits")
