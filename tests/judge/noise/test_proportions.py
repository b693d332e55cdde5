"""The score test of a paired proportion, held against a likelihood that is maximised numerically."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from stability.judge.noise.proportions import (
    drop_p_value,
    fewest_above,
    highest,
    interval,
    limits,
    lowest,
    score,
    variance,
)
from tests.examples import examples


@st.composite
def tables(draw: st.DrawFn) -> tuple[int, int, int]:
    n = draw(st.integers(1, 400))
    gains = draw(st.integers(0, n))
    return gains, draw(st.integers(0, n - gains)), n


def likelihood(gains: int, losses: int, n: int, delta: float, lost: float) -> float:
    chances = (lost + delta, lost, 1 - 2 * lost - delta)
    counts = (gains, losses, n - gains - losses)
    return float(
        sum(
            count * np.log(max(chance, 1e-300))
            for count, chance in zip(counts, chances, strict=True)
            if count
        )
    )


@settings(max_examples=examples(150))
@given(tables(), st.floats(-0.9, 0.9))
def test_the_closed_form_finds_the_maximum_of_the_likelihood_under_the_hypothesis(
    table: tuple[int, int, int], delta: float
) -> None:
    gains, losses, n = table
    low, high = max(0.0, -delta), (1 - delta) / 2
    found = minimize_scalar(
        lambda lost: -likelihood(gains, losses, n, delta, lost),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-12},
    )
    closed = (float(variance(gains / n, losses / n, delta)) - delta * (1 - delta)) / 2
    assert low - 1e-12 <= closed <= high + 1e-12
    assert likelihood(gains, losses, n, delta, closed) >= -found.fun - 1e-6 * max(1.0, abs(found.fun))


@settings(max_examples=examples(200))
@given(tables(), st.floats(0.6, 0.999))
def test_the_interval_holds_the_estimate_and_its_ends_lie_at_the_stated_score(
    table: tuple[int, int, int], confidence: float
) -> None:
    gains, losses, n = table
    low, high = (float(end) for end in interval(gains, losses, n, confidence))
    assert -1 <= low <= (gains - losses) / n <= high <= 1
    reach = norm.ppf(confidence)
    if low > -1 + 1e-9:
        assert float(score(gains, losses, n, low)) == pytest.approx(reach, rel=1e-4)
    if high < 1 - 1e-9:
        assert float(score(gains, losses, n, high)) == pytest.approx(-reach, rel=1e-4)


@settings(max_examples=examples(200))
@given(tables(), st.floats(0.6, 0.999))
def test_gains_and_losses_swapped_mirror_the_interval(table: tuple[int, int, int], confidence: float) -> None:
    gains, losses, n = table
    low, high = interval(gains, losses, n, confidence)
    mirrored = interval(losses, gains, n, confidence)
    assert (float(low), float(high)) == pytest.approx((-float(mirrored[1]), -float(mirrored[0])), abs=1e-9)


@settings(max_examples=examples(300))
@given(tables(), st.floats(0.0, 0.3), st.floats(0.001, 0.3))
def test_a_drop_is_significant_exactly_if_the_interval_lies_past_the_tolerance(
    table: tuple[int, int, int], tolerance: float, alpha: float
) -> None:
    p_value = float(drop_p_value(*table, tolerance))
    assume(abs(p_value - alpha) > 1e-6)
    _, high = interval(*table, 1 - alpha)
    assert (p_value < alpha) == (float(high) < -tolerance)


def test_no_change_at_all_still_has_an_interval() -> None:
    low, high = interval(0, 0, 50, 0.95)
    expected = norm.ppf(0.95) ** 2 / (50 + norm.ppf(0.95) ** 2)
    assert (float(low), float(high)) == pytest.approx((-expected, expected))


def test_many_tables_at_once_give_what_each_gives_alone() -> None:
    gains, losses = np.array([3, 10, 0]), np.array([9, 40, 0])
    together = np.array(interval(gains, losses, 200, 0.95))
    alone = np.array([interval(g, k, 200, 0.95) for g, k in zip(gains, losses, strict=True)]).T
    np.testing.assert_allclose(together, alone, atol=1e-12)


@settings(max_examples=examples(100))
@given(st.lists(st.tuples(tables(), st.floats(0.6, 0.999)), min_size=2, max_size=4))
def test_limits_that_are_kept_are_those_of_the_interval_to_the_last_bit(
    asked: list[tuple[tuple[int, int, int], float]],
) -> None:
    for table, confidence in asked * 2:
        assert limits(*table, confidence) == tuple(map(float, interval(*table, confidence)))


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.6, 0.999))
def test_the_limits_of_a_single_share_are_clopper_and_pearsons(
    counts: tuple[int, int], confidence: float
) -> None:
    low, high = proportion_confint(*counts, alpha=2 * (1 - confidence), method="beta")
    assert lowest(*counts, confidence) == pytest.approx(low, abs=1e-9)
    assert highest(*counts, confidence) == pytest.approx(high, abs=1e-9)


@given(st.integers(1, 300), st.floats(0.01, 0.99))
def test_the_fewest_successes_above_a_share_are_the_first_whose_limit_is(n: int, share: float) -> None:
    fewest = fewest_above(share, n, 0.95)
    assert fewest == next((count for count in range(1, n + 1) if lowest(count, n, 0.95) > share), n + 1)
