"""Figure: the layer-pair probes at the last checkpoint, and their change (the paper's Figure 5)."""

from __future__ import annotations

import math

from stability.report import wording
from stability.report.figures.figure import Entry, Figure
from stability.report.series import EditorRuns, values
from stability.report.svg import Axis, Chart, Frame

SHADES = 10  # styles h0 to h9, from whole to lost


def probes(editor: EditorRuns, name: str) -> Figure | None:
    """The layer-pair probes at the last checkpoint, and their change from the unedited model."""
    run = editor.shown
    measured = [point for point in run.checkpoints if "probe_accuracy" in point.readings]
    if not measured:
        return None
    last = measured[-1]
    reading = last.readings["probe_accuracy"]
    base = reading.base or dict(values(editor.record.base, "probe_accuracy"))
    after = f"after {last.edits} edits"
    accuracy = heat_map(editor, f"{name}-now", f"Probe accuracy {after}")
    change = heat_map(editor, f"{name}-change", f"Change of probe accuracy {after}")
    for key, value in reading.values.items():
        first, second = (int(part) for part in key.split("-"))
        before = base.get(key, math.nan)
        label = f"blocks {key}: {wording.number(value)} (before {wording.number(before)})"
        accuracy.cell(second, first, shade((1 - value) * 2), label)
        change.cell(second, first, shade((before - value) * 2), label)
    for key, reason in reading.left_out.items():
        first, second = (int(part) for part in key.split("-"))
        for chart in (accuracy, change):
            chart.cell(second, first, "left-out", f"blocks {key}: left out ({reason})")
    caption = (
        "Linear probes that tell two blocks' residual streams apart, fitted on the unedited model and tested "
        f"on the edited one, {after}, seed {run.seed}: held-out accuracy, then its loss against the unedited "
        "model. The stronger the colour, the more is lost; an accuracy of 0.5 is a guess."
    )
    legend = [Entry("h0", "1.0, no loss"), Entry("h5", "0.75"), Entry("h9", "0.5, all lost")]
    if reading.left_out:
        legend.append(Entry("left-out", f"{len(reading.left_out)} left out"))
    return Figure("Layer-pair probes", caption, (str(accuracy), str(change)), tuple(legend))


def heat_map(editor: EditorRuns, name: str, title: str) -> Chart:
    """An empty square of all pairs of blocks."""
    layers = editor.record.model.layers
    frame = Frame(width=230, height=230, left=28, right=6, top=6, bottom=36)
    chart = Chart(name, title, title, Axis(0, layers, "block"), Axis(0, layers, "block"), frame, "heat")
    step = max(1, math.ceil(layers / 8))
    for layer in range(0, layers, step):
        chart.text(str(layer), chart.across(layer + 0.5), frame.height - frame.bottom + 14, "tick middle")
        chart.text(str(layer), frame.left - 5, chart.up(layer + 0.5) + 4, "tick end")
    chart.text("block", (frame.left + frame.width) / 2, frame.height - 8, "label middle")
    return chart


def shade(loss: float) -> str:
    """The style of a loss between 0 and 1."""
    if not math.isfinite(loss):
        return "left-out"
    return f"h{min(SHADES - 1, max(0, math.floor(loss * SHADES)))}"
