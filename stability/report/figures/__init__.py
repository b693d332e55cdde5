"""The figures of one editor, one a file, in the order of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stability.report.figures.activations import activations
from stability.report.figures.figure import Entry, Figure
from stability.report.figures.norms import norms
from stability.report.figures.probes import probes
from stability.report.figures.quality import quality
from stability.report.figures.tasks import tasks
from stability.report.figures.timing import timing
from stability.report.series import EditorRuns

MAKERS: Sequence[Callable[[EditorRuns, str], Figure | None]] = (
    norms,
    activations,
    probes,
    tasks,
    quality,
    timing,
)


def figures(editor: EditorRuns, name: str) -> list[Figure]:
    """Every figure that the record has something for; `name` sets their ids apart from other editors'."""
    made = (maker(editor, f"{name}-{maker.__name__}") for maker in MAKERS)
    return [figure for figure in made if figure is not None]


__all__ = ["Entry", "Figure", "figures"]
