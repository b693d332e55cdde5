"""One value of two editors: what is beyond noise, held against statsmodels and scipy.stats."""

from __future__ import annotations

import math
import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stability.judge.noise.drops import ProportionDrop, ResampledDrop
from stability.judge.noise.holm import HolmDecision, holm
from stability.judge.noise.paired import PairedNumbers
from stability.judge.side_by_side.change import SeedChange, student, student_limits
from stability.suite import parse_bound

BOUND = parse_bound("<= 2.0")
SEEDED = st.lists(st.floats(-1, 1), min_size=2, max_size=8).filter(lambda values: np.std(values) > 1e-3)


def figure(before: list[float], now: list[float], bound: str = "<= 2.0") -> SeedChange:
    return SeedChange(parse_bound(bound), dict(enumerate(before)), dict(enumerate(now)), {})


def decided(one: SeedChange, alpha: float = 0.05) -> list[HolmDecision]:
    return holm(one.p_values, alpha)


@given(SEEDED, st.floats(0.001, 0.2))
def test_students_t_is_that_of_scipy(values: list[float], level: float) -> None:
    reference = stats.ttest_1samp(np.array(values, dtype=np.float64), 0.0)
    assert student(values) == pytest.approx(reference.pvalue, rel=1e-6, abs=1e-12)
    low, high = student_limits(values, level)
    interval = reference.confidence_interval(1 - level)
    assert (low, high) == (pytest.approx(interval.low, rel=1e-6), pytest.approx(interval.high, rel=1e-6))


def test_differences_that_are_all_the_same_are_beyond_chance_and_none_else_are() -> None:
    assert student([0.5, 0.5, 0.5]) == 0.0
    assert student([0.0, 1.0, 2.0]) == pytest.approx(stats.ttest_1samp([0.0, 1.0, 2.0], 0.0).pvalue)


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_test_of_documents_is_the_same_in_both_directions(gains: int, losses: int) -> None:
    there = ProportionDrop(n=200, gains=gains, losses=losses, right=100, flipped=gains + losses)
    back = ProportionDrop(
        n=200, gains=losses, losses=gains, right=100 + gains - losses, flipped=gains + losses
    )
    assert there.no_change_p_value() == back.no_change_p_value()
    z = abs(gains - losses) / math.sqrt(max(gains + losses, 1))
    if z > 2:  # McNemar's statistic, of which Tango's test at 0 is the general form
        assert there.no_change_p_value() == pytest.approx(2 * stats.norm.sf(z), rel=0.5)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2, 0.6])
def test_two_editors_of_one_score_are_told_apart_by_no_more_than_one_in_twenty(share: float) -> None:
    gains, losses = np.array([(gained, lost) for gained in range(31) for lost in range(31 - gained)]).T
    chances = stats.multinomial.pmf(
        np.stack([gains, losses, 30 - gains - losses], axis=1), 30, [share / 2, share / 2, 1 - share]
    )
    told = [
        ProportionDrop(30, int(gained), int(lost), 20, 0).no_change_p_value() <= 0.05
        for gained, lost in zip(gains, losses, strict=True)
    ]
    assert chances[told].sum() <= 0.05 + 1e-6


@pytest.mark.parametrize(
    ("bound", "now", "outcome"),
    [
        ("<= 2.0", [1.50, 1.52, 1.51], "worse"),
        ("<= 2.0", [1.10, 1.11, 1.09], "better"),
        (">= 0.6", [1.50, 1.52, 1.51], "better"),
        ("between 0.5 and 1.9", [1.50, 1.52, 1.51], "worse"),
        ("<= 2.0", [1.20, 1.45, 1.17], "same"),
        ("<= 2.0", [1.2, 1.3, 1.25], "same"),
    ],
)
def test_the_bound_says_which_way_is_better_and_the_seeds_whether_it_is_noise(
    bound: str, now: list[float], outcome: str
) -> None:
    one = figure([1.2, 1.3, 1.25] if outcome == "same" else [1.2, 1.21, 1.22], now, bound)
    cell = one.cell(decided(one))
    assert cell.outcome == outcome
    assert cell.value == pytest.approx(np.mean(now))
    if cell.interval:
        assert (cell.interval[0] > 0 or cell.interval[1] < 0) == (outcome != "same")


def test_one_seed_states_the_change_and_claims_nothing() -> None:
    one = figure([1.2], [1.9])
    cell = one.cell(decided(one))
    assert (cell.outcome, cell.note, cell.interval) == ("untold", "one seed", None)
    assert cell.change == pytest.approx(0.7)


def test_numbers_of_too_few_documents_for_so_many_tests_claim_nothing_and_say_why() -> None:
    before = np.linspace(0.2, 0.8, 40)
    drop = ResampledDrop(((1.0, PairedNumbers("score", before, before**2, 40)),), (0,))
    one = SeedChange(parse_bound(">= -0.05"), {0: drop.before}, {0: drop.now}, {0: drop})
    among = one.of_enough(15)
    cell = among.cell(decided(among))
    assert (cell.outcome, cell.note, cell.interval) == ("untold", "too few documents", None)
    assert one.of_enough(3).cell(decided(one)).outcome == "worse"


def test_one_seed_with_the_same_figure_is_the_same() -> None:
    one = figure([1.2], [1.2])
    assert one.cell(decided(one)).outcome == "same"


@pytest.mark.parametrize(
    ("before", "now", "outcome"),
    [([1.0], [math.nan], "worse"), ([math.inf], [1.0], "better"), ([math.inf], [math.inf], "same")],
)
def test_what_is_not_finite_is_worse_without_a_test(
    before: list[float], now: list[float], outcome: str
) -> None:
    one = figure(before, now)
    assert one.p_values == []
    assert one.cell([]).outcome == outcome


@pytest.mark.parametrize(("losses", "outcome"), [(40, "worse"), (3, "same")])
def test_documents_tell_a_drop_from_noise_at_a_single_seed(
    records: ModuleType, losses: int, outcome: str
) -> None:
    drop = ProportionDrop(n=500, gains=1, losses=losses, right=480, flipped=losses + 1)
    one = SeedChange(BOUND, {0: 0.0}, {0: drop.now - drop.before}, {0: drop})
    cell = one.cell(decided(one))
    assert cell.outcome == outcome
    assert cell.interval is not None
    assert (cell.interval[1] < 0) == (outcome == "worse")


def test_seeds_that_disagree_beyond_noise_are_mixed() -> None:
    worse = ProportionDrop(n=500, gains=0, losses=40, right=480, flipped=40)
    better = ProportionDrop(n=500, gains=40, losses=0, right=400, flipped=40)
    one = SeedChange(BOUND, {0: 0.0, 1: 0.0}, {0: -0.08, 1: 0.08}, {0: worse, 1: better})
    cell = one.cell(decided(one))
    assert (cell.outcome, cell.note) == ("mixed", "at 2 of 2 seeds")


@given(
    values=st.lists(st.floats(0.01, 100), min_size=1, max_size=5),
    reference=st.floats(0.01, 100),
    steps=st.integers(-8, 8),
)
def test_differences_that_rounding_alone_sets_apart_are_the_same_however_small_they_are(
    values: list[float], reference: float, steps: int
) -> None:
    scale = max(*values, reference)
    before = [value - reference for value in values]
    now = [value * (1 + steps * sys.float_info.epsilon) - reference for value in values]
    one = SeedChange(BOUND, dict(enumerate(before)), dict(enumerate(now)), {}, scale)
    assert one.cell(decided(one)).outcome == "same"
    moved = SeedChange(
        BOUND, dict(enumerate(before)), {k: v + 1e-9 * scale for k, v in one.now.items()}, {}, scale
    )
    assert not moved.is_same
