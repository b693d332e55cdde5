"""Figure: how well the edits worked, over the edits."""

from __future__ import annotations

import math

from stability.parts import FigureHead, part
from stability.report.charts.chart import Axis, Chart
from stability.report.charts.figure import Figure, LegendEntry, edits_axis
from stability.report.charts.series import EditorRuns, over_edits
from stability.report.steps import wording

QUALITY = (
    ("edit_success", "success"),
    ("edit_accuracy", "accuracy"),
    ("paraphrase_success", "paraphrase"),
    ("neighborhood_success", "neighborhood"),
    ("retention", "retention"),
)


@part(FigureHead("quality", "how well the edits took", 6))
def quality(editor: EditorRuns) -> Figure | None:
    """How well the edits worked, over the edits."""
    lines = []
    for metric, label in QUALITY:
        series = [over_edits(run, editor.record.base, metric, "") for run in editor.runs]
        if any(math.isfinite(value) for points in series for _, value in points):
            lines.append((metric, label, series))
    if not lines:
        return None
    limits = sorted({end for metric, _, _ in lines for end in editor.thresholds(metric, None)})
    summary = ", ".join(f"{label} {wording.number(series[0][-1][1])}" for _, label, series in lines)
    axis = Axis(-0.02, 1.04, "share of edits")
    chart = Chart("Edit quality", f"at the end: {summary}", edits_axis(editor), axis)
    for index, (_, label, series) in enumerate(lines):
        for points in series:
            chart.line(points, f"c{index}", label)
    for limit in limits:
        chart.threshold(limit, f"bound {limit:g}")
    caption = (
        "Success, accuracy, paraphrase and neighborhood right after each edit, mean over the edits so far; "
        "retention: the share of all earlier edits that still hold."
    )
    legend = tuple(LegendEntry(f"c{index}", label) for index, (_, label, _) in enumerate(lines))
    return Figure("quality", "Edit quality", caption, (chart,), legend)
