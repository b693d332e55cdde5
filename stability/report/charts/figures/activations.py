"""Figure: the residual stream's norm by layer, at each checkpoint (the paper's Figure 4)."""

from __future__ import annotations

import math

from stability.parts import FigureHead, part
from stability.report.charts.chart import Chart, axis_over, blocks_axis
from stability.report.charts.figure import Figure, LegendEntry, thinned
from stability.report.charts.palette import ramp
from stability.report.charts.series import EditorRuns, by_layer
from stability.report.steps import wording

MANY = 16  # with this many blocks or more, lines have no dots


@part(FigureHead("activations", "norm of the residual stream by layer, at each checkpoint", 2))
def activations(editor: EditorRuns) -> Figure | None:
    """The residual stream's norm by layer, divided by the unedited model's, at each checkpoint."""
    run = editor.shown
    lines = [
        (point.edits, by_layer(point, editor.record.base, "activation_norm")) for point in run.checkpoints
    ]
    lines = [(edits, points) for edits, points in lines if points]
    if not lines:
        return None
    limits = editor.thresholds("activation_norm", "base")
    seen = [value for _, points in lines for _, value in points]
    y = axis_over(seen, "norm over norm before", include=[1.0, *limits])
    lowest = min(seen, key=lambda value: value if math.isfinite(value) else -math.inf)
    summary = f"{len(lines)} checkpoints; the lowest ratio of any block is {wording.number(lowest)}"
    chart = Chart("Activation norm by layer", summary, blocks_axis(editor.record.model.layers), y)
    legend = []
    for index, (edits, points) in enumerate(lines):
        style = ramp(index, len(lines))
        chart.line(points, style, f"after {edits} edits", dots=len(points) <= MANY)
        legend.append(LegendEntry(style, f"{edits}"))
    for limit in limits:
        chart.threshold(limit, f"bound {limit:g}")
    caption = (
        "Norm of the residual stream after each block, mean over tokens, divided by that of the unedited "
        f"model; one line a checkpoint (edits made), seed {run.seed}. The paper saw it shrink after the "
        "edited blocks (its Figure 4)."
    )
    return Figure("activations", "Activation norm by layer", caption, (chart,), thinned(legend))
