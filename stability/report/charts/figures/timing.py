"""Figure: the time spent in each stage of each run, and the memory."""

from __future__ import annotations

import math

from stability.parts import FigureHead, part
from stability.report.charts.chart import Axis, Chart, axis_over
from stability.report.charts.figure import Figure, LegendEntry, edits_axis
from stability.report.charts.palette import COLOURS, category
from stability.report.charts.series import EditorRuns, Points
from stability.report.steps import wording

BAR = 0.77  # height of a bar, as a share of the row


@part(FigureHead("time", "where the time of each run went, and the memory", 8))
def timing(editor: EditorRuns) -> Figure | None:
    """The time of each run, by stage."""
    stages = list(dict.fromkeys(stage for run in editor.runs for stage in run.timing))
    longest = max((sum(run.timing.values()) for run in editor.runs), default=0.0)
    if not stages or longest <= 0:
        return None
    rows = len(editor.runs)
    summary = "; ".join(
        f"seed {run.seed}: "
        + ", ".join(f"{stage} {wording.duration(run.timing[stage])}" for stage in run.timing)
        for run in editor.runs
    )
    seeds = tuple((rows - row - 0.5, f"seed {run.seed}") for row, run in enumerate(editor.runs))
    chart = Chart("Time", summary, Axis(0, longest, "seconds"), Axis(0, rows, "", labels=seeds), "rows")
    for row, run in enumerate(editor.runs):
        left = 0.0
        for index, stage in enumerate(stages):
            seconds = run.timing.get(stage, 0.0)
            label = f"{stage}: {wording.duration(seconds)}"
            low = rows - row - (1 + BAR) / 2
            chart.cell(left, low, f"c{index % COLOURS}", label, width=seconds, height=BAR)
            left += seconds
    legend = tuple(LegendEntry(f"c{index % COLOURS}", stage, "area") for index, stage in enumerate(stages))
    memory = memory_chart(editor)
    caption = "Where the time of each run went, by stage."
    if memory:
        caption += " Below, the most memory that the process had held until each checkpoint."
    return Figure("time", "Time and memory", caption, (chart, *memory), legend)


def memory_chart(editor: EditorRuns) -> tuple[Chart, ...]:
    """Peak memory over the edits, a line for each seed that measured it."""
    lines: list[tuple[int, Points]] = []
    for run in editor.runs:
        readings = [
            (point.edits, point.costs["peak_memory"])
            for point in (editor.record.base, *run.checkpoints)
            if "peak_memory" in point.costs
        ]
        points = [(float(edits), reading.values.get("", math.nan)) for edits, reading in readings]
        if any(math.isfinite(value) for _, value in points):
            lines.append((run.seed, points))
    if not lines:
        return ()
    seen = [value for _, points in lines for _, value in points]
    most = max(value for value in seen if math.isfinite(value))
    y = axis_over(seen, "MiB", include=[0.0])
    chart = Chart("Peak memory", f"{wording.number(most)} MiB at most", edits_axis(editor), y, "small")
    for index, (seed, points) in enumerate(lines):
        chart.line(points, category(index), f"seed {seed}")
    return (chart,)
