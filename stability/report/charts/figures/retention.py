"""Figure: which of the earlier edits still hold after later ones, edit by edit."""

from __future__ import annotations

import math

from stability.parts import FigureHead, part
from stability.report.charts.chart import Axis, Chart, round_values, tick_label
from stability.report.charts.figure import Figure, LegendEntry
from stability.report.charts.series import EditorRuns, values
from stability.report.charts.shade import shade
from stability.report.steps import wording

ROWS = 40  # at most; if there are more edits, several share a row


@part(FigureHead("retention", "which of the earlier edits still hold after later ones", 7))
def retention(editor: EditorRuns) -> Figure | None:
    """A column for each checkpoint, a row for one or a few edits: the share that still holds."""
    run = editor.shown
    columns = [(point.edits, values(point, "edit_retention")) for point in run.checkpoints]
    columns = [(edits, held) for edits, held in columns if held]
    if not columns:
        return None
    last = columns[-1][0]
    step = max(1, math.ceil(last / ROWS))
    x = Axis(
        0,
        len(columns),
        "edits made",
        labels=tuple(
            (index + 0.5, str(edits))
            for index, (edits, _) in enumerate(columns)
            if index % math.ceil(len(columns) / 8) == 0
        ),
    )
    y = Axis(0, last, "edit", labels=tuple((value, tick_label(value)) for value in round_values(0, last)))
    kept = [sum(held.values()) / len(held) for _, held in columns]
    summary = f"after {last} edits {wording.number(kept[-1])} of them hold"
    chart = Chart("Retention of each edit", summary, x, y, "square")
    for index, (edits, held) in enumerate(columns):
        for first in range(1, edits + 1, step):
            numbers = range(first, min(first + step, edits + 1))
            found = [held[str(number)] for number in numbers if str(number) in held]
            share = sum(found) / len(found) if found else math.nan
            named = f"edit {first}" if len(numbers) == 1 else f"edits {first}-{numbers[-1]}"
            label = f"{named} after {edits}: {wording.number(share)}"
            chart.cell(index, first - 1, shade(1 - share), label, height=len(numbers))
    caption = (
        "How many of the edits that were made hold after later ones: a column for each checkpoint, from the "
        f"first edit at the bottom up, seed {run.seed}. The stronger the colour, the more were lost."
    )
    legend = (
        LegendEntry("h0", "all hold", "area"),
        LegendEntry("h5", "half", "area"),
        LegendEntry("h9", "none", "area"),
    )
    return Figure("retention", "Retention of each edit", caption, (chart,), legend)
