"""Axes and lines, before anybody draws them."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.report.charts.chart import Axis, Chart, Line, axis_over, blocks_axis, round_values

FINITE = st.floats(-1e9, 1e9)


@given(st.lists(FINITE, min_size=1))
def test_an_axis_shows_every_finite_value(values: list[float]) -> None:
    axis = axis_over([*values, math.nan, math.inf], "y")
    assert all(-1e-9 <= axis.share(value) <= 1 + 1e-9 for value in values)


@given(st.lists(st.floats(1e-6, 1e9), min_size=2))
def test_an_axis_is_logarithmic_exactly_where_values_span_a_hundredfold(values: list[float]) -> None:
    axis = axis_over(values, "y")
    assert axis.log == (max(values) / min(values) > 100)
    assert all(0 <= axis.share(value) <= 1 for value in values)


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e9))
def test_ticks_are_few_ordered_and_within_the_range(low: float, length: float) -> None:
    ticks = round_values(low, low + length)
    assert 2 <= len(ticks) <= 7
    assert ticks == sorted(set(ticks))
    room = 1e-6 * length
    assert all(low - room <= tick <= low + length + room for tick in ticks)


def test_a_logarithmic_axis_has_powers_of_ten() -> None:
    assert Axis(1, 1e4, "y", log=True).ticks() == [
        (1.0, "1"), (10.0, "10"), (100.0, "100"), (1000.0, "1000"), (10000.0, "10000")
    ]  # fmt: skip


@pytest.mark.parametrize("layers", [1, 2, 8, 12, 48, 96])
def test_blocks_are_numbered_at_nine_places_at_most(layers: int) -> None:
    axis = blocks_axis(layers)
    assert axis.ticks()[0] == (0, "0")
    assert 1 <= len(axis.ticks()) <= 9
    assert all(value <= layers - 1 for value, _ in axis.ticks())


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=20))
def test_a_line_breaks_exactly_where_it_cannot_be_drawn(values: list[float]) -> None:
    line = Line(tuple(enumerate(values)), "c0", "", dots=True)
    pieces = line.pieces(Axis(0, 1, "y"))
    assert [point for piece in pieces for point in piece] == [
        (x, value) for x, value in enumerate(values) if math.isfinite(value)
    ]
    for before, after in itertools.pairwise(pieces):
        assert after[0][0] - before[-1][0] > 1


def test_what_a_logarithmic_axis_cannot_show_is_left_out() -> None:
    chart = Chart("t", "s", Axis(0, 1, "x"), Axis(1, 100, "y", log=True))
    chart.threshold(0.0, "bound 0")
    chart.mark(0, -1, "c0", "")
    assert chart.items == []


def test_an_interval_ends_at_the_edge_of_the_chart() -> None:
    chart = Chart("t", "s", Axis(0, 1, "x"), Axis(0, 1, "y"))
    chart.interval(0.5, -3, 0.4, "c0")
    chart.interval(0.5, 2, 3, "c0")
    [interval] = chart.items
    assert (interval.low, interval.high) == (0, 0.4)
