"""What the statistics promise, in simulated gates: tolerance 0.05, answers that flip without a true drop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, norm

from stability.judge.noise import exact, proportions
from stability.judge.noise.drops import ProportionDrop, ResampledDrop, detects
from stability.judge.noise.family import judge_drops
from stability.judge.noise.holm import holm
from stability.judge.noise.paired import PairedAnswers
from stability.judge.noise.proportions import drop_p_value
from stability.judge.noise.scores import score
from stability.judge.reduce import DropTest
from stability.suite import parse_bound
from stability.suite.schema import Noise

TOLERANCE, ALPHA = 0.05, 0.05
BOUND, NOISE = parse_bound(">= -0.05"), Noise(confidence=0.95)
GATES = 4000


def flips(
    n: int, share: float, drop: float, shape: tuple[int, ...], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Gains and losses of simulated tasks: that share of right answers flips, for a true drop on balance."""
    rng = np.random.default_rng([n, round(1000 * share), round(1000 * drop), seed])
    drawn = rng.multinomial(n, [(share - drop) / 2, (share + drop) / 2, 1 - share], size=shape)
    return drawn[..., 0], drawn[..., 1]


@pytest.mark.parametrize("n", [100, 200, 500, 1000, 2000])
@pytest.mark.parametrize("share", [0.10, 0.15, 0.20])
def test_without_a_true_drop_a_gate_of_one_task_fails_in_less_than_one_of_a_hundred(
    n: int, share: float
) -> None:
    p_values = drop_p_value(*flips(n, share, 0.0, (GATES,), 1), n, TOLERANCE)
    assert (p_values <= ALPHA).mean() <= 0.01


@pytest.mark.parametrize("n", [100, 200, 500, 1000, 2000])
@pytest.mark.parametrize("share", [0.10, 0.20])
def test_without_a_true_drop_a_gate_of_five_tasks_at_five_checkpoints_fails_as_rarely(
    n: int, share: float
) -> None:
    p_values = drop_p_value(*flips(n, share, 0.0, (2000, 25), 2), n, TOLERANCE)
    failed = [any(decision.rejected for decision in holm(family.tolist(), ALPHA)) for family in p_values]
    assert np.mean(failed) <= 0.01


@pytest.mark.parametrize("share", [0.10, 0.20])
@pytest.mark.parametrize("n", [100, 200, 1000])
def test_at_a_true_drop_of_just_the_tolerance_one_in_twenty_fails(n: int, share: float) -> None:
    p_values = drop_p_value(*flips(n, share, TOLERANCE, (40_000,), 3), n, TOLERANCE)
    assert (p_values <= ALPHA).mean() == pytest.approx(ALPHA, abs=0.012)


@pytest.mark.parametrize("share", [0.10, 0.15, 0.20])
def test_a_true_drop_of_ten_points_is_found_as_often_as_the_formula_says(share: float) -> None:
    n, drop = 1000, 0.10
    p_values = drop_p_value(*flips(n, share, drop, (20_000,), 4), n, TOLERANCE)
    power = (p_values <= ALPHA).mean()
    error = np.sqrt((share - drop**2) / n)
    assert power >= 0.97
    assert power == pytest.approx(norm.cdf((drop - TOLERANCE) / error - norm.ppf(1 - ALPHA)), abs=0.02)


POSSIBLE = [
    (right, choices, share, n, tests)
    for right, choices in ((0.6, 4), (0.85, 4), (0.85, 2))
    for share in (0.0, 0.10, 0.20)
    for n in (100, 200, 1000, 5000)
    for tests in (1, 15, 75)
    if (n, tests) not in ((100, 15), (100, 75))  # where guessing everything may lose less than is detected
]


@pytest.mark.parametrize(("right", "choices", "share", "n", "tests"), POSSIBLE)
def test_the_smallest_detectable_drop_is_found_in_four_of_five_gates_if_answers_become_guesses(
    right: float, choices: int, share: float, n: int, tests: int
) -> None:
    half, guess = round(share * n / 2), 1 / choices
    stated = ProportionDrop(n, half, half, round(right * n), 2 * half, guess).detects(
        TOLERANCE, ALPHA / tests
    )
    guessed = stated / (right - guess)  # the share of documents
    gains = half / n + guessed * (1 - right) * guess
    losses = half / n + guessed * right * (1 - guess)
    rng = np.random.default_rng([n, tests, choices])
    drawn = rng.multinomial(n, [gains, losses, 1 - gains - losses], size=10_000)
    scores = proportions.score(drawn[:, 0], drawn[:, 1], n, -TOLERANCE)
    found = (scores <= exact.critical_score(n, TOLERANCE, ALPHA / tests)).mean()
    assert 0.78 <= found <= 0.84


def test_where_no_choices_are_known_a_loss_is_all_that_comes_on_top() -> None:
    n, half = 1000, 50
    stated = ProportionDrop(n, half, half, 700, 100).detects(TOLERANCE, ALPHA)
    [found] = exact.power(n, TOLERANCE, ALPHA, np.array([stated]), np.array([0.10 + stated]))
    assert found == pytest.approx(0.80, abs=0.01)


def test_documents_that_show_not_even_the_loss_of_all_right_answers_show_none() -> None:
    assert ProportionDrop(12, 0, 0, 3, 0, 0.25).detects(TOLERANCE, ALPHA) == np.inf


def test_a_larger_family_states_a_larger_detectable_drop() -> None:
    drop = ProportionDrop(1000, 75, 75, 700, 150)
    alone = judge_drops([drop], BOUND, NOISE)[0].detects
    among = judge_drops([drop] * 25, BOUND, NOISE)[0].detects
    assert alone == pytest.approx(drop.detects(TOLERANCE, ALPHA))
    assert among == pytest.approx(drop.detects(TOLERANCE, ALPHA / 25))
    assert among > alone


def test_what_a_drop_detects_is_the_same_whichever_drops_were_asked_before() -> None:
    drop = ProportionDrop(400, 20, 30, 280, 50, 0.25)
    unlike = ({"n": 500}, {"gains": 21}, {"losses": 40}, {"right": 200}, {"guess": 0.5}, {"flipped": 60})
    family = [drop, *(replace(drop, **changed) for changed in unlike)]
    kept = [
        one.detects(tolerance, alpha)
        for tolerance in (0.05, 0.03)
        for alpha in (0.05, 0.01)
        for one in family
    ]
    detects.cache_clear()
    alone = [
        detects.__wrapped__(one, tolerance, alpha)
        for tolerance in (0.05, 0.03)
        for alpha in (0.05, 0.01)
        for one in family
    ]
    assert kept == alone
    assert len(set(kept)) == 4 * len(unlike)  # all but `flipped`, which is none of the changes of sides


@pytest.mark.parametrize(("n", "flips", "checks"), [(71, 0.2, 1), (60, 0.3, 3)])
def test_as_many_models_that_dropped_nothing_fail_as_is_stated_where_what_is_within_noise_fails(
    n: int, flips: float, checks: int
) -> None:
    strict = Noise(confidence=0.95, on_inconclusive="fail")

    def one(gains: int, losses: int) -> DropTest:
        drops = [ProportionDrop(n, gains, losses, round(0.7 * n), gains + losses)]
        return judge_drops(drops, BOUND, strict, looks=checks)[0]

    rate = 0.0
    for gains in range(int(n * flips) + 1):
        rest = binom(n - gains, flips / 2 / (1 - flips / 2))
        fewest = next(losses for losses in range(gains + n // 20, n) if fails(one(gains, losses)))
        rate += float(binom.pmf(gains, n, flips / 2) * rest.sf(fewest - 1))
    half = round(n * flips / 2)
    stated = one(half, half).false_failures
    assert stated is not None
    assert stated <= 0.05 + 1e-9
    assert rate <= 0.05
    assert rate * checks == pytest.approx(stated * checks, abs=0.012)


def fails(test: DropTest) -> bool:
    return test.outcome == "failed" or test.fails_inconclusive


CELLS = np.array([(gold, before, now) for gold in (0, 1) for before in (0, 1) for now in (0, 1)])


def population(extra: float) -> np.ndarray:
    """Shares of the eight cells: 35 % positive, 88 % right before, 5 % flip, and of the right ones more."""
    shares = np.empty(8)
    for index, (gold, before, now) in enumerate(CELLS):
        flip = 0.05 + (extra if before == gold else 0.0)
        shares[index] = (0.35 if gold else 0.65) * (0.88 if before == gold else 0.12)
        shares[index] *= flip if now != before else 1 - flip
    return shares


def true_change(metric: str, extra: float) -> float:
    gold, before, now = CELLS.T
    shares = population(extra)
    return float(score(metric, gold, now, shares) - score(metric, gold, before, shares))


def with_drop(metric: str, drop: float) -> np.ndarray:
    """The population whose score drops by just so much."""
    extras = np.linspace(-0.049, 0.6, 4000)
    changes = np.array([true_change(metric, extra) for extra in extras])
    return population(float(extras[np.argmin(np.abs(changes + drop))]))


def drawn(metric: str, shares: np.ndarray, n: int, seed: int) -> ResampledDrop:
    counts = np.random.default_rng([seed, n]).multinomial(n, shares)
    there = counts > 0
    gold, before, now = CELLS[there].T
    return ResampledDrop(
        ((1.0, PairedAnswers(metric, gold, before, now, counts[there].astype(float), 0)),), (seed,)
    )


@pytest.mark.parametrize("metric", ["f1", "mcc"])
def test_the_bootstrap_fails_one_in_twenty_at_a_true_drop_of_just_the_tolerance(metric: str) -> None:
    shares = with_drop(metric, TOLERANCE)
    p_values = [drawn(metric, shares, 300, seed).p_value(TOLERANCE) for seed in range(400)]
    assert np.mean(np.array(p_values) <= ALPHA) == pytest.approx(ALPHA, abs=0.035)


def guessing(metric: str, drop: float) -> np.ndarray:
    """That of flips alone, with so many answers guessed, as often positive as documents are, as lose the drop."""
    same = with_drop(metric, 0.0)
    gold, before, now = CELLS.T
    positive = same[gold == 1].sum()
    together = np.array([same[(gold == g) & (before == b)].sum() for g, b, _ in CELLS])
    guessed = together * np.where(now == 1, positive, 1 - positive)
    shares = [same * (1 - part) + guessed * part for part in np.linspace(0, 1, 1000)]
    changes = [score(metric, gold, now, one) - score(metric, gold, before, one) for one in shares]
    return shares[int(np.argmin(np.abs(np.array(changes) + drop)))]


@pytest.mark.parametrize("metric", ["f1", "mcc"])
def test_the_bootstrap_finds_the_drop_that_it_states_in_about_four_of_five_gates(metric: str) -> None:
    same = with_drop(metric, 0.0)
    stated = float(
        np.median([drawn(metric, same, 500, seed).detects(TOLERANCE, ALPHA) for seed in range(20)])
    )
    shares = guessing(metric, stated)
    found = [drawn(metric, shares, 500, seed).p_value(TOLERANCE) <= ALPHA for seed in range(300)]
    assert np.mean(found) == pytest.approx(0.80, abs=0.07)


def test_the_interval_lies_past_the_tolerance_exactly_if_the_drop_fails() -> None:
    rng = np.random.default_rng(7)
    drops = [
        ProportionDrop(400, int(gains), int(losses), 300, int(gains + losses))
        for gains, losses, _ in rng.multinomial(400, [0.03, 0.13, 0.84], size=12)
    ]
    findings = judge_drops(drops, BOUND, NOISE)
    assert {finding.outcome for finding in findings} == {"failed", "inconclusive"}
    for finding in findings:
        assert (finding.outcome == "failed") == (finding.high < -TOLERANCE)
        assert finding.low <= finding.change <= finding.high


def test_a_drop_within_the_tolerance_holds_however_sure_it_is() -> None:
    [finding] = judge_drops([ProportionDrop(5000, 0, 200, 4000, 200)], BOUND, NOISE)
    assert finding.outcome == "held"
    assert finding.change == pytest.approx(-0.04)
    assert finding.flip_rate == pytest.approx(0.04)


def test_a_model_that_changed_no_answer_states_what_its_documents_could_have_shown() -> None:
    [few] = judge_drops([ProportionDrop(50, 0, 0, 40, 0)], BOUND, NOISE)
    [many] = judge_drops([ProportionDrop(5000, 0, 0, 4000, 0)], BOUND, NOISE)
    assert few.detects > 0.12
    assert many.detects == pytest.approx(0.058, abs=0.002)
