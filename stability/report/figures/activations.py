"""Figure: the residual stream's norm by layer, at each checkpoint (the paper's Figure 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stability.report import wording
from stability.report.figures.figure import Entry, Figure
from stability.report.series import EditorRuns, by_layer
from stability.report.svg import Axis, Chart, axis_over

RAMP = 8  # styles r0 to r7, from the first checkpoint to the last


def activations(editor: EditorRuns, name: str) -> Figure | None:
    """The residual stream's norm by layer, over that of the unedited model, at each checkpoint."""
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
    layers = Axis(0, max(1, editor.record.model.layers - 1), "block")
    lowest = min(seen, key=lambda value: value if math.isfinite(value) else -math.inf)
    summary = f"{len(lines)} checkpoints; the lowest ratio of any block is {wording.number(lowest)}"
    chart = Chart(name, "Activation norm by layer", summary, layers, y)
    chart.axes(x_ticks=[value for value in layers.ticks() if value == int(value)])
    legend = []
    for index, (edits, points) in enumerate(lines):
        style = f"r{ramp(index, len(lines))}"
        chart.line(points, style, f"after {edits} edits", dots=len(points) <= 16)
        legend.append(Entry(style, f"{edits}"))
    for limit in limits:
        chart.threshold(limit, f"bound {limit:g}")
    caption = (
        "Norm of the residual stream after each block, mean over tokens, divided by that of the unedited "
        f"model; one line a checkpoint (edits made), seed {run.seed}. The paper saw it shrink after the "
        "edited blocks."
    )
    return Figure("Activation norm by layer", caption, (str(chart),), thinned(legend))


def ramp(index: int, count: int) -> int:
    """The style of one of several checkpoints, spread over the whole ramp."""
    return RAMP - 1 if count == 1 else round(index * (RAMP - 1) / (count - 1))


def thinned(legend: Sequence[Entry], most: int = 10) -> tuple[Entry, ...]:
    """A legend of no more than so many entries, first and last included."""
    if len(legend) <= most:
        return tuple(legend)
    chosen = {round(index * (len(legend) - 1) / (most - 1)) for index in range(most)}
    return tuple(entry for index, entry in enumerate(legend) if index in chosen)
