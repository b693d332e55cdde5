"""Figure: the norm of every MLP and attention matrix over the edits (the paper's Figures 1 and 3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stability.parts import FigureHead, part
from stability.record import Matrix
from stability.report.charts.chart import Chart, Point, axis_over, blocks_axis
from stability.report.charts.figure import Figure, LegendEntry, edits_axis, thinned
from stability.report.charts.palette import COLOURS, ramp
from stability.report.charts.series import EditorRuns, Points, over_edits, ratios, values
from stability.report.steps import wording

MANY = 16  # with this many points or more, lines have no dots


@part(FigureHead("norms", "norm of every MLP and attention matrix over the edits", 1))
def norms(editor: EditorRuns) -> Figure | None:
    """The norm of every matrix divided by its norm before, over the edits; unedited matrices are grey."""
    edited = {matrix.name for matrix in editor.edited}
    lines: list[tuple[str, list[Points]]] = []
    still: dict[tuple[Point, ...], int] = {}
    for matrix in editor.record.model.matrices:
        base = values(editor.record.base, "weight_norm").get(matrix.name, math.nan)
        series = [
            ratios(over_edits(run, editor.record.base, "weight_norm", matrix.name), base)
            for run in editor.runs
        ]
        if not any(series):
            continue
        if matrix.name in edited:
            lines.append((short(matrix.name), series))
        else:
            for points in series:
                still[tuple(points)] = still.get(tuple(points), 0) + 1
    if not lines:
        return None
    lines.sort(key=lambda line: -growth([value for points in line[1] for _, value in points]))
    limits = editor.thresholds("weight_norm", "base")
    seen = [value for _, series in lines for points in series for _, value in points]
    y = axis_over(seen, "‖W‖ over ‖W‖ before", include=[1.0, *limits])
    most = wording.number(extreme(lines[0][1]))
    summary = f"{len(lines)} edited matrices; {lines[0][0]} changes most, to {most} times its norm"
    chart = Chart("Norm of every matrix", summary, edits_axis(editor), y)
    frozen = sum(still.values()) // max(1, len(editor.runs))
    for unmoved in still:
        chart.line(unmoved, "other", f"{frozen} matrices that were not edited", dots=False)
    legend = [LegendEntry("other", f"{frozen} not edited")] if frozen else []
    for index, (label, series) in reversed(list(enumerate(lines))):
        style = f"c{index}" if index < COLOURS else "other"
        for points in series:
            chart.line(points, style, label, dots=index < COLOURS)
        if index <= COLOURS:
            legend.append(
                LegendEntry(style, label if index < COLOURS else f"{len(lines) - COLOURS} more edited")
            )
    for limit in limits:
        chart.threshold(limit, f"bound {limit:g}")
    caption = (
        "Frobenius norm of every MLP and attention matrix, divided by its norm before editing. The paper saw "
        "that of the edited ones grow on and on under sequential localized edits (its Figures 1 and 3); the "
        "frozen rest stayed."
    )
    return Figure("norms", "Norm of every matrix", caption, (chart,), tuple(reversed(legend)))


@part(FigureHead("norms-by-layer", "norm of the matrices of each kind, block by block", 3))
def norms_by_layer(editor: EditorRuns) -> Figure | None:
    """The norm of the matrices of each kind, block by block, so that the edited ones stand out."""
    run = editor.shown
    steps = [(point.edits, values(point, "weight_norm")) for point in (editor.record.base, *run.checkpoints)]
    steps = [(edits, found) for edits, found in steps if found]
    if len(steps) < 2 or not editor.edited:
        return None
    kinds: dict[str, list[Matrix]] = {}
    for matrix in (*editor.edited, *editor.record.model.matrices):  # kinds that were edited come first
        kinds.setdefault(matrix.kind, [])
    for matrix in editor.record.model.matrices:
        kinds[matrix.kind].append(matrix)
    charts = []
    for kind, matrices in kinds.items():
        parted: dict[tuple[Point, ...], tuple[str, str]] = {}
        for index, (edits, found) in enumerate(steps):
            points = tuple(
                (float(matrix.layer), found[matrix.name]) for matrix in matrices if matrix.name in found
            )
            style = ramp(index - 1, len(steps) - 1) if index else "other"
            parted.setdefault(points, (style, f"after {edits} edits" if edits else "before"))
        y = axis_over([value for points in parted for _, value in points], "‖W‖")
        grown = len(parted) - 1
        summary = f"{kind}: {'as before at every checkpoint' if not grown else f'{grown} other lines'}"
        chart = Chart(kind, summary, blocks_axis(editor.record.model.layers), y, "small")
        for points, (style, label) in parted.items():
            chart.line(points, style, label, dots=len(points) <= MANY)
        charts.append(chart)
    legend = [LegendEntry("other", "before")] + [
        LegendEntry(ramp(index, len(steps) - 1), f"{edits}") for index, (edits, _) in enumerate(steps[1:])
    ]
    caption = (
        "Frobenius norm of the matrices of each kind, block by block; one line a checkpoint (edits made), "
        f"seed {run.seed}. Where lines part, that block was edited."
    )
    return Figure("norms-by-layer", "Norms by layer", caption, tuple(charts), thinned(legend))


def growth(numbers: Sequence[float]) -> float:
    """How far a ratio is from 1, up or down; infinite if it is not finite."""
    return max((abs(math.log(value)) if 0 < value < math.inf else math.inf for value in numbers), default=0.0)


def extreme(series: Sequence[Sequence[tuple[float, float]]]) -> float:
    """The value farthest from 1."""
    return max((value for points in series for _, value in points), key=lambda value: growth([value]))


def short(parameter: str) -> str:
    """A parameter's name without the prefix and suffix that all share: `h.1.mlp.c_proj`."""
    parts = parameter.removesuffix(".weight").split(".")
    first = next((index for index, part in enumerate(parts) if part.isdigit()), 1)
    return ".".join(parts[max(first - 1, 0) :])
