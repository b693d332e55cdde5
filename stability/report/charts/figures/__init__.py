"""The figures of a run, one a file, found by their heads."""

from __future__ import annotations

from stability.judge import Judgement, runs_by_editor
from stability.parts import FIGURES, FigureHead, Part
from stability.record import Record
from stability.report.charts.figure import Figure, LegendEntry
from stability.report.charts.series import EditorRuns

__all__ = ["EditorRuns", "Figure", "LegendEntry", "editor_runs", "figure_names", "figures", "overlays"]


def figure_names() -> list[str]:
    """The names of all figures, in the order of the page."""
    return [part.head.name for part in _in_order()]


def figures(editor: EditorRuns) -> list[Figure]:
    """Every figure of one editor for which the record has data."""
    made = (part.made(editor) for part in _in_order() if not part.head.of_all)
    return [figure for figure in made if figure is not None]


def overlays(judgement: Judgement) -> list[Figure]:
    """Every figure that shows all editors together, if there are several."""
    made = (part.made(judgement) for part in _in_order() if part.head.of_all)
    return [figure for figure in made if figure is not None]


def editor_runs(record: Record, judgement: Judgement) -> list[EditorRuns]:
    """The runs of each editor, in the order of the judgement."""
    runs = runs_by_editor(record)
    return [EditorRuns(record, editor, runs[editor.editor]) for editor in judgement.editors]


def _in_order() -> list[Part[FigureHead]]:
    return sorted(FIGURES.built_in().values(), key=lambda part: part.head.place)
