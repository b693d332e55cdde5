"""The exact p-value, against enumeration of every table."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multinomial

from stability.judge.noise import exact, proportions
from stability.judge.noise.drops import ProportionDrop


def tables(n: int) -> np.ndarray:
    """Every gains, losses, and the rest [tables, 3]."""
    return np.array([(g, k, n - g - k) for g in range(n + 1) for k in range(n + 1 - g)])


@pytest.mark.parametrize(("gains", "losses", "n"), [(0, 4, 12), (1, 7, 20), (2, 9, 30), (0, 3, 30)])
def test_it_is_the_largest_probability_of_a_score_this_low(gains: int, losses: int, n: int) -> None:
    every = tables(n)
    scores = proportions.score(every[:, 0], every[:, 1], n, -0.05)
    low = every[scores <= proportions.score(gains, losses, n, -0.05) + 1e-9]
    largest = max(
        multinomial.pmf(low, n, [lost - 0.05, lost, 1.05 - 2 * lost]).sum()
        for lost in np.linspace(0.0501, 0.5249, 1500)
    )
    assert exact.drop_p_value(gains, losses, n, 0.05) == pytest.approx(largest, rel=0.01)


@pytest.mark.parametrize("flips", [0.051, 0.06, 0.1, 0.2, 0.4])
def test_at_63_documents_it_fails_no_more_than_one_in_twenty_where_the_normal_one_fails_twice_as_many(
    flips: float,
) -> None:
    every = tables(63)
    chances = multinomial.pmf(every, 63, [(flips - 0.05) / 2, (flips + 0.05) / 2, 1 - flips])
    fails = np.array([exact.drop_p_value(int(g), int(k), 63, 0.05) <= 0.05 for g, k, _ in every])
    assert chances[fails].sum() <= 0.05 + 1e-6
    normal = proportions.drop_p_value(every[:, 0], every[:, 1], 63, 0.05) <= 0.05
    if flips < 0.06:
        assert chances[normal].sum() > 0.09


@pytest.mark.parametrize(("n", "alpha"), [(63, 0.05), (400, 0.05 / 75), (2000, 0.05 / 75)])
@pytest.mark.parametrize("tolerance", [0.0, 0.05])
def test_the_critical_score_keeps_its_level_at_every_share_of_losses(
    n: int, alpha: float, tolerance: float
) -> None:
    shares = np.linspace(tolerance + 0.001, 0.6, 200)
    assert exact.power(n, tolerance, alpha, np.full(200, tolerance), shares).max() <= 1.05 * alpha


def test_the_power_is_that_of_every_table_that_fails() -> None:
    every = tables(40)
    chances = multinomial.pmf(every, 40, [0.05, 0.30, 0.65])
    fails = np.array([exact.drop_p_value(int(g), int(k), 40, 0.05) <= 0.05 for g, k, _ in every])
    [found] = exact.power(40, 0.05, 0.05, np.array([0.25]), np.array([0.35]))
    assert found == pytest.approx(chances[fails].sum(), abs=0.02)


def test_of_very_many_documents_it_is_the_normal_one() -> None:
    normal = proportions.drop_p_value(8_000, 20_000, 200_000, 0.05)
    assert exact.drop_p_value(8_000, 20_000, 200_000, 0.05) == normal


@pytest.mark.parametrize("n", [400, 2000])
def test_a_drop_is_detected_by_as_many_documents_as_are_said_to_detect_it(n: int) -> None:
    drop = ProportionDrop(
        n=n, gains=n // 50, losses=n // 25, right=4 * n // 5, flipped=3 * n // 50, guess=0.25
    )
    smallest = drop.detects(0.05, 0.05)
    assert 0.05 < smallest < 0.8
    assert drop.documents(smallest, 0.05, 0.05) == pytest.approx(n, rel=0.1)
