"""The figures of a run, one a file, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stability.judge import Judgement, runs_by_editor
from stability.record import Record
from stability.report.charts.figures.activations import activations
from stability.report.charts.figures.figure import Entry, Figure
from stability.report.charts.figures.norms import norms, norms_by_layer
from stability.report.charts.figures.overlay import overlay
from stability.report.charts.figures.probes import probes
from stability.report.charts.figures.quality import quality
from stability.report.charts.figures.retention import retention
from stability.report.charts.figures.tasks import tasks
from stability.report.charts.figures.timing import timing
from stability.report.charts.series import EditorRuns

MAKERS: Mapping[str, Callable[[EditorRuns], Figure | None]] = {
    "norms": norms,
    "activations": activations,
    "norms-by-layer": norms_by_layer,
    "probes": probes,
    "tasks": tasks,
    "quality": quality,
    "retention": retention,
    "time": timing,
}
"""What draws each figure of one editor, by the figure's name."""

SIDE_BY_SIDE = "side-by-side"
"""The name of the figure in which several editors are drawn over one another."""


def figures(editor: EditorRuns) -> list[Figure]:
    """Every figure of one editor that the record has something for."""
    made = (maker(editor) for maker in MAKERS.values())
    return [figure for figure in made if figure is not None]


def editor_runs(record: Record, judgement: Judgement) -> list[EditorRuns]:
    """What each editor's figures are about, in the order of the judgement."""
    runs = runs_by_editor(record)
    return [EditorRuns(record, editor, runs[editor.editor]) for editor in judgement.editors]


__all__ = ["MAKERS", "SIDE_BY_SIDE", "EditorRuns", "Entry", "Figure", "editor_runs", "figures", "overlay"]
