"""Figure: the change of each task's score over the edits, with its interval."""

from __future__ import annotations

from stability.judge import Point
from stability.report import wording
from stability.report.figures.figure import COLOURS, Entry, Figure, edits_axis
from stability.report.series import EditorRuns
from stability.report.svg import Chart, axis_over


def tasks(editor: EditorRuns, name: str) -> Figure | None:
    """The change of each task's score over the edits, with its interval where the suite tells noise."""
    verdicts = [
        verdict
        for verdict in editor.verdicts("task_score")
        if verdict.relative_to == "base" and verdict.change == "absolute" and verdict.check != verdict.name
    ]
    lines: dict[str, list[list[Point]]] = {}
    for verdict in verdicts:
        label = verdict.check.removeprefix(f"{verdict.name}[").removesuffix("]")
        points = [list(seed.points) for seed in verdict.seeds if seed.points]
        if points:
            lines.setdefault(label, points)
    if not lines:
        return None
    limits = editor.thresholds("task_score", "base")
    spread = [end for series in lines.values() for line in series for point in line for end in ends(point)]
    y = axis_over(spread, "score now − before", include=[0.0, *limits])
    lowest = min(lines, key=lambda task: min(point.value for line in lines[task] for point in line))
    summary = f"{len(lines)} tasks; {lowest} loses most"
    chart = Chart(name, "Task scores", summary, edits_axis(editor), y)
    chart.axes()
    legend = []
    for index, (task, series) in enumerate(lines.items()):
        style = f"c{index}" if index < COLOURS else "other"
        shift = 4.0 * (index - (min(len(lines), COLOURS) - 1) / 2) if index < COLOURS else 0.0
        for line in series:
            chart.line([(0, 0.0), *((point.edits, point.value) for point in line)], style, task, dots=False)
            for point in line:
                if point.low is not None and point.high is not None:
                    chart.interval(point.edits, point.low, point.high, style, shift)
                label = f"{task}, {point.edits} edits: {wording.number(point.value)}, {point.outcome}"
                chart.mark(point.edits, point.value, f"{style} {point.outcome}", label, shift)
        legend.append(Entry(style, task))
    for limit in limits:
        chart.threshold(limit, f"bound {limit:g}")
    caption = (
        "Change of each task's score against the unedited model, on the same documents. A bar is the "
        "interval at the level at which the drop was decided: it lies wholly below the bound exactly if the "
        "check failed."
    )
    return Figure("Task scores", caption, (str(chart),), tuple(legend[: COLOURS + 1]))


def ends(point: Point) -> tuple[float, ...]:
    """What a point reaches to."""
    return tuple(end for end in (point.value, point.low, point.high) if end is not None)
