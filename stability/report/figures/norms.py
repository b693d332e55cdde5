"""Figure: the norm of every edited matrix against its norm before (the paper's Figures 1 and 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stability.report import wording
from stability.report.figures.figure import COLOURS, Entry, Figure, edits_axis
from stability.report.series import EditorRuns, over_edits, ratios, values
from stability.report.svg import Chart, axis_over


def norms(editor: EditorRuns, name: str) -> Figure | None:
    """The norm of every edited matrix over its norm before, over the edits."""
    lines = []
    for matrix in editor.edited:
        base = values(editor.record.base, "weight_norm").get(matrix.name, math.nan)
        series = [
            ratios(over_edits(run, editor.record.base, "weight_norm", matrix.name), base)
            for run in editor.runs
        ]
        if any(series):
            lines.append((short(matrix.name), series))
    if not lines:
        return None
    lines.sort(key=lambda line: -growth([value for points in line[1] for _, value in points]))
    limits = editor.thresholds("weight_norm", "base")
    seen = [value for _, series in lines for points in series for _, value in points]
    y = axis_over(seen, "‖W‖ over ‖W‖ before", include=[1.0, *limits])
    most = wording.number(extreme(lines[0][1]))
    summary = f"{len(lines)} edited matrices; {lines[0][0]} changes most, to {most} times its norm"
    chart = Chart(name, "Norm of the edited matrices", summary, edits_axis(editor), y)
    chart.axes()
    legend = []
    for index, (label, series) in reversed(list(enumerate(lines))):
        style = f"c{index}" if index < COLOURS else "other"
        for points in series:
            chart.line(points, style, label, dots=index < COLOURS)
        if index <= COLOURS:
            legend.append(Entry(style, label if index < COLOURS else f"{len(lines) - COLOURS} more"))
    for limit in limits:
        chart.threshold(limit, f"bound {limit:g}")
    caption = (
        "Frobenius norm of every edited matrix, divided by its norm before editing. "
        "The paper saw it grow on and on under sequential localized edits, while the frozen rest stayed."
    )
    return Figure("Norm of the edited matrices", caption, (str(chart),), tuple(reversed(legend)))


def growth(numbers: Sequence[float]) -> float:
    """How far a ratio strays from 1, up or down; what is not finite strays farthest."""
    return max((abs(math.log(value)) if 0 < value < math.inf else math.inf for value in numbers), default=0.0)


def extreme(series: Sequence[Sequence[tuple[float, float]]]) -> float:
    """The value that strays farthest from 1."""
    return max((value for points in series for _, value in points), key=lambda value: growth([value]))


def short(parameter: str) -> str:
    """A parameter's name without what all share: `h.1.mlp.c_proj`."""
    parts = parameter.removesuffix(".weight").split(".")
    first = next((index for index, part in enumerate(parts) if part.isdigit()), 1)
    return ".".join(parts[max(first - 1, 0) :])
