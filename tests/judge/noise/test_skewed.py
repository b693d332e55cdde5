"""Johnson's t for skewed numbers: the published formula, its limits its inverse, and never the bolder claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import skew
from scipy.stats import t as student

from stability.judge.noise.drops import ResampledDrop
from stability.judge.noise.paired import PairedNumbers
from stability.judge.noise.skewed import ChangeTest, Johnson, MoreCautious

SKEWNESS = st.one_of(st.just(0.0), st.floats(1e-3, 0.3), st.floats(-0.3, -1e-3))
TESTS = st.builds(Johnson, st.floats(-1, 1), st.floats(0.01, 1), SKEWNESS, st.floats(1, 200))


def resampled(change: np.ndarray) -> ResampledDrop:
    before = np.full(len(change), 0.5)
    return ResampledDrop(((1.0, PairedNumbers("score", before, before + change, len(change))),), (0,))


@given(TESTS, st.floats(1e-4, 0.49))
def test_the_limit_at_a_confidence_is_the_hypothesis_of_that_p_value(test: Johnson, alpha: float) -> None:
    assert test.p_value(test.limit(1 - alpha)) == pytest.approx(alpha, rel=1e-6)
    assert 1 - test.p_value(test.limit(alpha)) == pytest.approx(alpha, rel=1e-6)


@given(TESTS, st.lists(st.floats(1e-3, 100), min_size=2, max_size=8))
def test_the_farther_the_hypothesis_the_smaller_the_p_value(test: Johnson, away: list[float]) -> None:
    for side in (1, -1):
        p_values = [test.p_value(test.change + side * errors * test.error) for errors in sorted(away)]
        assert p_values == sorted(p_values, reverse=side > 0)


@given(TESTS, st.floats(0.001, 0.999))
def test_a_change_the_other_way_is_tested_as_its_mirror_image(test: Johnson, confidence: float) -> None:
    mirrored = Johnson(-test.change, test.error, -test.skewness, test.degrees)
    if confidence != 0.5:
        assert mirrored.limit(1 - confidence) == pytest.approx(-test.limit(confidence), abs=1e-9)


def test_the_statistic_is_the_one_that_johnson_gave() -> None:
    n, hypothesis = 60, 0.2
    changes = np.random.default_rng(1).exponential(1, n) - 1
    mean, deviation = changes.mean(), changes.std(ddof=1)
    third = skew(changes) * changes.std() ** 3
    as_printed = (
        mean
        - hypothesis
        + third / (6 * changes.var() * n)
        + third * (mean - hypothesis) ** 2 / (3 * changes.var() ** 2)
    ) / (deviation / np.sqrt(n))  # section 2
    test = Johnson(mean, deviation / np.sqrt(n), skew(changes) / (6 * np.sqrt(n)), n - 1)
    assert test.p_value(hypothesis) == pytest.approx(student(n - 1).cdf(as_printed), rel=0.02)


def test_a_drop_of_numbers_skewed_upwards_is_less_certain_than_its_mirror_image() -> None:
    changes = np.random.default_rng(2).exponential(1, 40) - 1
    falling, rising = resampled(0.1 * changes), resampled(-0.1 * changes)
    error = falling.error
    below = falling.p_value(falling.now - falling.before + 3 * error)
    above = 1 - rising.p_value(rising.now - rising.before - 3 * error)
    assert below > 0.005
    assert above == pytest.approx(below, rel=0.2)


@pytest.mark.parametrize("side", [1, -1])
def test_of_two_tests_the_one_that_claims_less_counts(side: int) -> None:
    tests: list[ChangeTest] = [Johnson(0.0, error, 0.0, 20) for error in (0.1, 0.2)]
    both = MoreCautious(*tests)
    assert both.p_value(side * 0.3) == tests[1].p_value(side * 0.3)
    assert both.limit(0.5 + side * 0.45) == tests[1].limit(0.5 + side * 0.45)


def test_the_whole_interval_of_numbers_is_past_the_tolerance_exactly_if_they_fail() -> None:
    rng = np.random.default_rng(3)
    for shift in np.linspace(0.05, 0.12, 12):
        drop = resampled(0.15 * (rng.exponential(1, 40) - 1) - shift)
        for alpha in (0.05, 0.05 / 15):
            assert (drop.p_value(0.05) < alpha) == (drop.limits(1 - alpha)[1] < -0.05)
