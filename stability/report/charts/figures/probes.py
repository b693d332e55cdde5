"""Figure: the layer-pair probes at the last checkpoint, and their change (the paper's Figure 5)."""

from __future__ import annotations

import math

from stability.parts import FigureHead, part
from stability.report.charts.chart import Axis, Chart
from stability.report.charts.figure import Figure, LegendEntry
from stability.report.charts.series import EditorRuns, values
from stability.report.charts.shade import LEFT_OUT, shade
from stability.report.steps import wording


@part(FigureHead("probes", "accuracy of each pair's probe, and its change", 4))
def probes(editor: EditorRuns) -> Figure | None:
    """The layer-pair probes at the last checkpoint, and their change from the unedited model."""
    run = editor.shown
    measured = [point for point in run.checkpoints if "probe_accuracy" in point.readings]
    if not measured:
        return None
    last = measured[-1]
    reading = last.readings["probe_accuracy"]
    base = reading.base or dict(values(editor.record.base, "probe_accuracy"))
    after = f"after {last.edits} edits"
    accuracy = heat_map(editor, f"Probe accuracy {after}")
    change = heat_map(editor, f"Change of probe accuracy {after}")
    for key, value in reading.values.items():
        first, second = (int(part) for part in key.split("-"))
        before = base.get(key, math.nan)
        label = f"{key}: {wording.number(value)} (before {wording.number(before)})"
        accuracy.cell(second, first, shade((1 - value) * 2), label)
        change.cell(second, first, shade((before - value) * 2), label)
    for key, reason in reading.left_out.items():
        first, second = (int(part) for part in key.split("-"))
        for chart in (accuracy, change):
            chart.cell(second, first, LEFT_OUT, f"{key}: left out ({reason})")
    caption = (
        "Linear probes that tell two blocks' residual streams apart, fitted on the unedited model and tested "
        f"on the edited one, {after}, seed {run.seed}: held-out accuracy, then its loss against the unedited "
        "model. The stronger the colour, the more is lost; an accuracy of 0.5 is a guess. The paper saw "
        "accuracy fall where edits reach (its Figure 5)."
    )
    legend = [
        LegendEntry("h0", "1.0, no loss", "area"),
        LegendEntry("h5", "0.75", "area"),
        LegendEntry("h9", "0.5, all lost", "area"),
    ]
    if reading.left_out:
        legend.append(LegendEntry(LEFT_OUT, f"{len(reading.left_out)} left out", "area"))
    return Figure("probes", "Layer-pair probes", caption, (accuracy, change), tuple(legend))


def heat_map(editor: EditorRuns, title: str) -> Chart:
    """An empty heat map of all pairs of blocks."""
    layers = editor.record.model.layers
    step = max(1, math.ceil(layers / 8))
    axis = Axis(
        0, layers, "block", labels=tuple((layer + 0.5, str(layer)) for layer in range(0, layers, step))
    )
    return Chart(title, title, axis, axis, "square")
