"""The parts of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stability.report.charts.chart import Axis, Chart
from stability.report.charts.series import EditorRuns


@dataclass(frozen=True)
class LegendEntry:
    """A legend entry: a style of the palette, and its name."""

    style: str
    label: str
    kind: Literal["line", "area"] = "line"


@dataclass(frozen=True)
class Figure:
    """One or more charts with a title, a legend, and a caption that says what to look for.

    `name` is used on the command line and in the name of its file.
    """

    name: str
    title: str
    caption: str
    charts: tuple[Chart, ...]
    legend: tuple[LegendEntry, ...] = ()


def edits_axis(editor: EditorRuns) -> Axis:
    """The axis of edits, from 0 to the last checkpoint."""
    last = max((point.edits for run in editor.runs for point in run.checkpoints), default=1)
    return Axis(0, max(last, 1), "edits")


def thinned(legend: Sequence[LegendEntry], most: int = 10) -> tuple[LegendEntry, ...]:
    """A legend cut to a number of entries, keeping the first and the last."""
    if len(legend) <= most:
        return tuple(legend)
    chosen = {round(index * (len(legend) - 1) / (most - 1)) for index in range(most)}
    return tuple(entry for index, entry in enumerate(legend) if index in chosen)
