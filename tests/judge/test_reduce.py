"""From many values to the one that decides."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.judge.reduce import aggregate, worst_of
from stability.suite import parse_bound

VALUES = st.dictionaries(st.text("abcdef", min_size=1), st.floats(-1e6, 1e6), min_size=1)
BOUNDS = st.sampled_from(["<= 2", ">= 0.6", "< 1", "== 0", "within 0.1 of 1", "between 0.6 and 1.67"])


@given(VALUES, BOUNDS)
def test_all_values_hold_exactly_if_the_worst_does(values: dict[str, float], text: str) -> None:
    bound = parse_bound(text)
    worst = worst_of(values, bound)
    assert worst.holds == all(bound.holds(value) for value in values.values())
    assert bound.reach(worst.value) == min(bound.reach(value) for value in values.values())


@given(VALUES, st.sampled_from(["max", "min", "mean", "median", "q05", "q95", "q50"]))
def test_aggregates_are_numpys(values: dict[str, float], how: str) -> None:
    numbers = list(values.values())
    expected = {
        "max": np.max,
        "min": np.min,
        "mean": np.mean,
        "median": np.median,
        "q05": lambda a: np.quantile(a, 0.05),
        "q95": lambda a: np.quantile(a, 0.95),
        "q50": lambda a: np.quantile(a, 0.50),
    }[how](numbers)
    assert aggregate(values, how, parse_bound("<= 2")).value == pytest.approx(float(expected))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("text", ["<= 2", ">= -2", "between -2 and 2"])
def test_a_value_that_is_not_finite_never_holds(bad: float, text: str) -> None:
    bound = parse_bound(text)
    worst = worst_of({"a": 1.0, "b": bad}, bound)
    assert (worst.holds, worst.key) == (False, "b")
    for how in ("max", "min", "mean", "median", "q05"):
        found = aggregate({"a": 1.0, "b": bad, "c": 0.5}, how, bound)
        assert not found.holds
        assert math.isnan(found.value)
        assert found.key == "b"


def test_max_and_min_name_the_value_they_take() -> None:
    values = {"a": 1.0, "b": 3.0, "c": 2.0}
    assert aggregate(values, "max", parse_bound("<= 5")).key == "b"
    assert aggregate(values, "min", parse_bound("<= 5")).key == "a"
    assert aggregate(values, "mean", parse_bound("<= 5")).key == ""


def test_values_that_are_all_alike_have_no_worst() -> None:
    assert worst_of({"a": 0.0, "b": 0.0}, parse_bound("== 0")).key == ""
    assert worst_of({"a": 0.0}, parse_bound("== 0")).key == "a"


def test_a_sum_that_overflows_fails_without_a_warning() -> None:
    found = aggregate({"a": 1.7e308, "b": 1.7e308}, "mean", parse_bound("<= 2"))
    assert not found.holds
