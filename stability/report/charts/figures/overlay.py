"""Figure: several editors in the same charts, one chart for each check."""

from __future__ import annotations

import math

from stability.judge import Judgement, Point, SeedVerdict, Verdict
from stability.parts import FigureHead, part
from stability.report.charts.chart import Axis, Chart, axis_over
from stability.report.charts.figure import Figure, LegendEntry
from stability.report.charts.palette import category
from stability.report.charts.series import bound_ends
from stability.report.steps import wording


@part(FigureHead("side-by-side", "several editors over one another, a chart for each check", 9, of_all=True))
def overlay(judgement: Judgement) -> Figure | None:
    """The worst value of each check over the edits, one line per editor; most failed checks come first."""
    styles = {editor.editor: category(index) for index, editor in enumerate(judgement.editors)}
    by_check: dict[str, list[Verdict]] = {}
    for verdict in judgement.verdicts:
        if points_of(verdict):
            by_check.setdefault(verdict.check, []).append(verdict)
    ordered = sorted(by_check.values(), key=lambda verdicts: -sum(is_bad(verdict) for verdict in verdicts))
    charts = [chart for verdicts in ordered if (chart := check_chart(verdicts, styles)) is not None]
    if len(judgement.editors) < 2 or not charts:
        return None
    caption = (
        "The worst value of each check at each checkpoint, one line an editor, and the suite's bound; at the "
        "seed that failed first, or else came nearest to it. Checks in which nothing moves are left out."
    )
    legend = tuple(LegendEntry(style, name) for name, style in styles.items())
    return Figure("side-by-side", "Editors side by side", caption, tuple(charts), legend)


def check_chart(verdicts: list[Verdict], styles: dict[str, str]) -> Chart | None:
    """One check's chart; None if it has only one editor, or nothing changes in it."""
    series = {verdict.editor: points_of(verdict) for verdict in verdicts}
    seen = [point.value for points in series.values() for point in points]
    if len(series) < 2 or len({value for value in seen if math.isfinite(value)}) < 2:
        return None
    limits = sorted({end for verdict in verdicts for end in bound_ends(verdict.bound)})
    first = verdicts[0]
    bad = [verdict.editor for verdict in verdicts if is_bad(verdict)]
    summary = f"{first.bound}: {', '.join(bad)} did not hold" if bad else f"{first.bound}: all held"
    last = max(point.edits for points in series.values() for point in points)
    y = axis_over(seen, unit_of(first), include=limits)
    chart = Chart(first.check, summary, Axis(0, max(last, 1), "edits"), y, "small")
    for editor, points in series.items():
        label = f"{editor}: {wording.number(points[-1].value)} after {points[-1].edits} edits"
        chart.line([(point.edits, point.value) for point in points], styles[editor], label, dots=False)
        for point in points:
            if point.outcome == "failed":
                words = f"{editor}: {wording.number(point.value)} after {point.edits} edits, failed"
                chart.mark(point.edits, point.value, styles[editor], words, failed=True)
    for limit in limits:
        chart.threshold(limit, f"{limit:g}")
    return chart


def unit_of(verdict: Verdict) -> str:
    """The label of the values, in two words at most."""
    if verdict.relative_to is None:
        return ""
    if verdict.change == "absolute":
        return "now − before"
    return "over before" if verdict.relative_to == "base" else f"over {verdict.relative_to}"


def is_bad(verdict: Verdict) -> bool:
    """Whether the verdict is one that a reader should look at first."""
    return verdict.status in ("fail", "warn")


def points_of(verdict: Verdict) -> tuple[Point, ...]:
    """The points of the seed that failed first, or else of the one with the worst value."""
    with_points = [seed for seed in verdict.seeds if seed.points]
    if not with_points:
        return ()

    def urgency(seed: SeedVerdict) -> tuple[float, bool]:
        return (math.inf if seed.failed_at is None else seed.failed_at, seed.seed != verdict.seed)

    return min(with_points, key=urgency).points
