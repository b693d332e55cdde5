"""Figure: the change of each task's score over the edits, with its interval."""

from __future__ import annotations

from stability.judge import Point
from stability.parts import FigureHead, part
from stability.report.charts.chart import Axis, Chart, axis_over
from stability.report.charts.figure import Figure, LegendEntry, edits_axis
from stability.report.charts.palette import COLOURS
from stability.report.charts.series import EditorRuns
from stability.report.steps import wording

APART = 0.012  # horizontal distance between the tasks at a checkpoint, as a share of the axis


@part(FigureHead("tasks", "change of each task's score over the edits", 5))
def tasks(editor: EditorRuns) -> Figure | None:
    """The change of each task's score over the edits, with its interval if the suite tests for noise."""
    lines: dict[str, list[list[Point]]] = {}
    for verdict in editor.verdicts("task_score"):
        is_drop = verdict.relative_to == "base" and verdict.change == "absolute"
        series = [list(seed.points) for seed in verdict.seeds if seed.points]
        if is_drop and verdict.task is not None and series:
            lines.setdefault(verdict.task, series)
    if not lines:
        return None
    limits = editor.thresholds("task_score", "base")
    spread = [end for series in lines.values() for line in series for point in line for end in ends(point)]
    y = axis_over(spread, "score now − before", include=[0.0, *limits])
    lowest = min(lines, key=lambda task: min(point.value for line in lines[task] for point in line))
    summary = f"{len(lines)} tasks; {lowest} loses most"
    x = edits_axis(editor)
    chart = Chart("Task scores", summary, Axis(x.low, x.high * (1 + APART * len(lines)), x.label), y)
    legend = []
    for index, (task, series) in enumerate(lines.items()):
        style = f"c{index}" if index < COLOURS else "other"
        beside = APART * x.high * (index - (len(lines) - 1) / 2)
        for line in series:
            places = [(point.edits + beside, point) for point in line]
            chart.line(
                [(0, 0.0), *((place, point.value) for place, point in places)], style, task, dots=False
            )
            for place, point in places:
                if point.low is not None and point.high is not None:
                    chart.interval(place, point.low, point.high, style)
                label = f"{task}, {point.edits} edits: {wording.number(point.value)}, {point.outcome}"
                chart.mark(place, point.value, style, label, failed=point.outcome == "failed")
        legend.append(LegendEntry(style, task))
    for limit in limits:
        chart.threshold(limit, f"bound {limit:g}")
    caption = (
        "Change of each task's score against the unedited model, on the same documents. A bar is the "
        "interval at the level at which the drop was decided: it lies wholly below the bound exactly if the "
        "check failed."
    )
    return Figure("tasks", "Task scores", caption, (chart,), tuple(legend[: COLOURS + 1]))


def ends(point: Point) -> tuple[float, ...]:
    """The values that a point covers: its value, or the ends of its interval."""
    return tuple(end for end in (point.value, point.low, point.high) if end is not None)
