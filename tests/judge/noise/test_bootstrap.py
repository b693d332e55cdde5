"""The paired bootstrap, held against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, norm

from stability.judge.noise.bootstrap import Bca, Distribution, Influence, influence, resample
from stability.judge.noise.drops import ResampledDrop, smallest
from stability.judge.noise.paired import PairedNumbers, pair
from stability.record import TaskResult
from tests.examples import examples


def f1(gold: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Of label arrays [..., documents]."""
    return np.asarray(2 * (gold & answer).sum(-1) / (gold.sum(-1) + answer.sum(-1)))


def mcc(gold: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Pearson's correlation of label arrays [..., documents]."""
    g, a = gold - gold.mean(-1, keepdims=True), answer - answer.mean(-1, keepdims=True)
    return np.asarray((g * a).sum(-1) / np.sqrt((g**2).sum(-1) * (a**2).sum(-1)))


SCORES = {"f1": f1, "mcc": mcc}


def documents(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gold = (rng.random(n) < 0.35).astype(int)
    before = np.where(rng.random(n) < 0.1, 1 - gold, gold)
    now = np.where(rng.random(n) < 0.15, 1 - before, before)
    return gold, before, now


def drop(metric: str, gold: np.ndarray, before: np.ndarray, now: np.ndarray) -> ResampledDrop:
    def result(answers: np.ndarray) -> TaskResult:
        return TaskResult(
            metric=metric,
            n=len(gold),
            doc_ids=tuple(range(len(gold))),
            gold=tuple(gold.tolist()),
            predicted=tuple(answers.tolist()),
        )

    return ResampledDrop(((1.0, pair("task", result(before), result(now), "now")),), (0,))


@pytest.mark.parametrize("metric", ["f1", "mcc"])
def test_the_limits_are_those_of_scipys_bca_interval(metric: str) -> None:
    def change(gold: np.ndarray, before: np.ndarray, now: np.ndarray, axis: int = -1) -> np.ndarray:
        return SCORES[metric](gold, now) - SCORES[metric](gold, before)

    gold, before, now = documents(150, seed=1)
    ours = drop(metric, gold, before, now).limits(0.95)
    theirs = bootstrap(
        (gold, before, now),
        change,
        paired=True,
        vectorized=True,
        n_resamples=3000,
        confidence_level=0.90,
        method="BCa",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.012)


def test_a_mean_of_numbers_has_the_limits_of_scipys_bca_interval() -> None:
    rng = np.random.default_rng(5)
    before = rng.gamma(1.0, 1.0, 80)
    now = before + rng.gamma(0.5, 0.4, 80) - 0.3
    ours = ResampledDrop(((1.0, PairedNumbers("loss", before, now, 80)),), (0,)).limits(0.95)
    theirs = bootstrap((now - before,), np.mean, confidence_level=0.90, rng=np.random.default_rng(2))
    interval = theirs.confidence_interval
    assert ours == pytest.approx((interval.low, interval.high), abs=0.01)


def test_skewed_numbers_have_the_skewed_limits_of_scipys_bca_interval() -> None:
    change = np.random.default_rng(6).lognormal(0.0, 1.3, 40)
    paired = PairedNumbers("loss", np.zeros(40), change, 40)
    moments = influence(paired)
    acceleration = moments.third / (6 * moments.second**1.5 * np.sqrt(40))
    replicates = resample(paired, np.random.default_rng(0)).change
    bca = Bca.of(replicates, float(change.mean()), acceleration)
    ours = bca.limit(0.05), bca.limit(0.95)
    options = {"confidence_level": 0.90, "n_resamples": 20_000, "rng": np.random.default_rng(2)}
    theirs = bootstrap((change,), np.mean, method="BCa", **options).confidence_interval
    plain = bootstrap((change,), np.mean, method="percentile", **options).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.3 * (theirs.high - plain.high))


@pytest.mark.parametrize("metric", ["f1", "mcc"])
def test_the_influence_of_a_document_is_what_leaving_it_out_shows(metric: str) -> None:
    gold, before, now = documents(400, seed=3)
    score = SCORES[metric]
    without = []
    for index in range(400):
        keep = np.arange(400) != index
        without.append(score(gold[keep], now[keep]) - score(gold[keep], before[keep]))
    effects = (400 - 1) * (np.mean(without) - np.array(without))
    found = influence(drop(metric, gold, before, now).members[0][1])
    assert found.second == pytest.approx(np.mean(effects**2), rel=0.02)
    assert found.third == pytest.approx(np.mean(effects**3), rel=0.05)


def test_the_same_seed_gives_the_same_figures() -> None:
    table = documents(100, seed=4)
    first, second = drop("f1", *table), drop("f1", *table)
    assert first.limits(0.95) == second.limits(0.95)
    assert first.p_value(0.05) == second.p_value(0.05)


@settings(max_examples=examples(60))
@given(st.floats(0.001, 0.4), st.floats(-0.1, 0.1))
def test_the_p_value_at_a_limit_is_its_level(alpha: float, acceleration: float) -> None:
    replicates = np.random.default_rng(0).normal(-0.05, 0.06, 4000)
    bca = Bca.of(replicates, -0.045, acceleration)
    assert bca.p_value(bca.limit(1 - alpha)) == pytest.approx(alpha, rel=1e-6)


@pytest.mark.parametrize("acceleration", [0.0, 0.08, -0.08])
def test_bias_and_acceleration_move_the_limits_as_efron_has_it(acceleration: float) -> None:
    replicates = np.random.default_rng(0).normal(0.0, 1.0, 4000)
    estimate = float(np.quantile(replicates, 0.4))
    bias = norm.ppf(0.4)
    share = norm.cdf(bias + (bias + norm.ppf(0.9)) / (1 - acceleration * (bias + norm.ppf(0.9))))
    limit = Bca.of(replicates, estimate, acceleration).limit(0.9)
    assert limit == pytest.approx(np.quantile(replicates, share), abs=0.01)


@settings(max_examples=examples(60))
@given(st.floats(1e-6, 1 - 1e-6))
def test_the_smoothed_distribution_is_its_own_inverse_far_into_the_tails(share: float) -> None:
    distribution = Distribution(np.random.default_rng(0).normal(0.0, 1.0, 4000).round(2))
    assert distribution.share_below(distribution.quantile(share)) == pytest.approx(share, rel=1e-6)


def test_the_tails_go_on_as_a_normal_distribution_does() -> None:
    distribution = Distribution(np.random.default_rng(0).normal(0.0, 1.0, 4000))
    assert distribution.quantile(1e-5) == pytest.approx(-4.26, abs=0.3)
    assert distribution.quantile(1 - 1e-5) == pytest.approx(4.26, abs=0.3)


def test_replicates_that_are_all_alike_have_no_width() -> None:
    same = Bca.of(np.full(4000, -0.2), -0.2, 0.0)
    assert (same.limit(0.95), same.limit(0.05)) == (-0.2, -0.2)
    assert same.p_value(-0.05) == 0.0
    assert same.p_value(-0.3) == 1.0


@settings(max_examples=examples(40))
@given(st.integers(0, 1000), st.sampled_from([1e-13, 1e-6, 1.0, 1e9]))
def test_the_bias_does_not_depend_on_the_unit_of_numbers(seed: int, unit: float) -> None:
    rng = np.random.default_rng(seed)
    steps = rng.integers(-3, 4, 1000)  # so that many replicates equal the estimate, but for rounding
    rounding = 1 + rng.integers(-4, 5, 1000) * np.finfo(float).eps
    replicates = 0.7 * unit * rounding + 0.1 * unit * steps - 0.7 * unit
    exact = Bca.of(steps.astype(float), 0.0, 0.0)
    assert Bca.of(replicates, 0.0, 0.0, size=unit).bias == exact.bias


def test_between_its_replicates_a_distribution_is_theirs_however_skewed() -> None:
    shares = (np.arange(20_000) + 0.5) / 20_000
    replicates = -np.log1p(-shares)  # exponential
    found = Distribution(replicates)
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        assert found.quantile(share) == pytest.approx(-np.log1p(-share), rel=0.01)
        assert found.share_below(-np.log1p(-share)) == pytest.approx(share, rel=0.01)


def test_the_share_of_answers_that_changed_is_of_all_documents() -> None:
    gold, before, now = documents(150, seed=1)
    assert drop("f1", gold, before, now).flip_rate == np.mean(before != now)


def test_the_smallest_drop_between_two_points_is_where_a_straight_line_reaches_it() -> None:
    drops, error = np.array([0.0, 0.01, 0.05, 0.2, 0.4]), np.full(5, 0.02)
    expected = 0.05 + (norm.ppf(0.95) + norm.ppf(0.8)) * 0.02
    assert smallest(drops, 0.05, 0.05, error, error) == pytest.approx(expected)
    assert smallest(drops, 0.5, 0.05, error, error) == float("inf")
    assert smallest(drops, -1.0, 0.05, error, error) == 0.0


@pytest.mark.parametrize("size", [0.01, 1.0, 100.0])
def test_degrees_of_freedom_fall_with_the_kurtosis_whatever_the_size_of_the_influence(size: float) -> None:
    heavy = Influence(size**2, 0.0, 11 * size**4, n=100, changed=100)
    assert heavy.degrees == pytest.approx(2 * 100 / 10)
    assert Influence(size**2, 0.0, 2 * size**4, n=100, changed=100).degrees == 99
    assert Influence(0.0, 0.0, 0.0, n=100, changed=0).degrees == 1
