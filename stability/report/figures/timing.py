"""Figure: where the time of each run went."""

from __future__ import annotations

from stability.report import wording
from stability.report.figures.figure import COLOURS, Entry, Figure
from stability.report.series import EditorRuns
from stability.report.svg import Axis, Chart, Frame


def timing(editor: EditorRuns, name: str) -> Figure | None:
    """Where each run's time went."""
    stages = list(dict.fromkeys(stage for run in editor.runs for stage in run.timing))
    longest = max((sum(run.timing.values()) for run in editor.runs), default=0.0)
    if not stages or longest <= 0:
        return None
    frame = Frame(height=54 + 26 * len(editor.runs), left=62)
    axis = Axis(0, longest, "seconds")
    summary = "; ".join(
        f"seed {run.seed}: "
        + ", ".join(f"{stage} {wording.duration(run.timing[stage])}" for stage in run.timing)
        for run in editor.runs
    )
    chart = Chart(name, "Time", summary, axis, Axis(0, len(editor.runs), ""), frame)
    floor = frame.height - frame.bottom
    for value in axis.ticks():
        chart.text(f"{value:g}", chart.across(value), floor + 16, "tick middle")
    chart.text("seconds", (frame.left + frame.width - frame.right) / 2, frame.height - 6, "label middle")
    for row, run in enumerate(editor.runs):
        top, left = frame.top + 26 * row, 0.0
        chart.text(f"seed {run.seed}", frame.left - 6, top + 14, "tick end")
        for index, stage in enumerate(stages):
            seconds = run.timing.get(stage, 0.0)
            start, end = chart.across(left), chart.across(left + seconds)
            bar = chart.element(
                "rect", f"bar c{index % COLOURS}", x=start, y=top, width=end - start, height=20.0
            )
            chart.hover(bar, f"{stage}: {wording.duration(seconds)}")
            left += seconds
    legend = tuple(Entry(f"c{index % COLOURS}", stage) for index, stage in enumerate(stages))
    return Figure("Time", "Where the time of each run went.", (str(chart),), legend)
