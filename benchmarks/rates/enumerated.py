"""Rates of accuracies that are no samples: what is judged is looked for, and its probability added up."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import binom

from benchmarks.rates.answers import Choices, Documents
from benchmarks.rates.cells import FAMILIES, Cell
from benchmarks.rates.counted import Counted
from benchmarks.rates.records import BOUNDS, EDITOR, Tasks, reading, record, suite, with_one
from stability.judge import Baseline, judge
from stability.judge.noise.chance import DEFAULT_CONFIDENCE
from stability.judge.noise.tasks import change_of

RARE = 1e-7  # the share of tables on either side that are not looked at


def is_enumerated(cell: Cell) -> bool:
    """Whether the tests are independent, and the score before does not matter to the bound."""
    is_plain = cell.correlation == 0 and cell.change == "absolute"
    return is_plain and cell.claim in ("fails", "by_chance", "admitted", "left_out")


def enumerated(cell: Cell, population: Choices) -> Counted:
    """One of these cells."""
    if cell.claim in ("admitted", "left_out"):
        return admission(cell, population)
    return failure(cell, population, -BOUNDS["absolute"] if cell.claim == "fails" else 0.0)


def failure(cell: Cell, population: Choices, drop: float) -> Counted:
    """The probability of every table of gains and losses that fails, at a true drop.

    For each number of gains the fewest losses that fail are found by halving, while the other tests see no
    change; of independent tests any fails if one does so.
    """
    gained, lost = (cell.flips - drop) / 2, (cell.flips + drop) / 2
    rate = 0.0
    for gains in range(int(binom.ppf(RARE, cell.n, gained)), int(binom.isf(RARE, cell.n, gained)) + 1):
        of_rest = binom(cell.n - gains, lost / (1 - gained))
        fewest = first(
            lambda losses, gains=gains: table_fails(cell, population, gains, losses),
            int(of_rest.ppf(RARE)),
            int(of_rest.isf(RARE)) + 1,
        )
        rate += binom.pmf(gains, cell.n, gained) * of_rest.sf(fewest - 1)
    return Counted.exactly(1 - (1 - rate) ** cell.tests)


def table_fails(cell: Cell, population: Choices, gains: int, losses: int) -> bool:
    """Whether a test fails in which so many documents turn right, and so many wrong."""
    right = min(max(round(population.right * cell.n), losses), cell.n - gains)
    place = np.arange(cell.n)
    before, now = (
        answered(one, population) for one in (place < right, (place >= losses) & (place < right + gains))
    )
    base, runs = with_one(FAMILIES[cell.tests], (before,), (before,), (now,))
    earlier = {EDITOR: Baseline(record(base, [[base] * len(points) for points in runs]))}
    noise = ", on_inconclusive: fail" if cell.claim == "by_chance" else ""
    judged = judge(suite(base, cell.against, noise=noise), record(base, runs), earlier)
    return judged.counts["fail"] > 0


def admission(cell: Cell, population: Choices) -> Counted:
    """How often a guess is judged; or how often a score is skipped that is said to be told from one."""
    guess = 1 / population.choices
    fewest = first(lambda right: is_judged(base_of(cell, population, right)), round(guess * cell.n), cell.n)
    if cell.claim == "admitted":
        return Counted.exactly(float(binom.sf(fewest - 1, cell.n, guess)))
    unedited = reading(base_of(cell, population, fewest))
    told = change_of("a", unedited, unedited, "unedited").told_from(guess, DEFAULT_CONFIDENCE)
    return Counted.exactly(float(binom.cdf(fewest - 1, cell.n, told)))


def is_judged(base: Tasks) -> bool:
    """Whether a model that does not change is judged."""
    return judge(suite(base), record(base, [[base]])).verdicts[0].status == "pass"


def base_of(cell: Cell, population: Choices, right: int) -> Tasks:
    """A task with so many right answers, each choice as often right."""
    place = np.random.default_rng(0).permutation(cell.n)  # so that right answers fall on all choices
    return {"a": (answered(place < right, population),)}


def answered(right: np.ndarray, population: Choices) -> Documents:
    """A task whose documents are right or wrong [documents]."""
    gold = np.arange(len(right)) % population.choices
    answers = np.where(right, gold, (gold + 1) % population.choices)
    return Documents("acc", gold, answers, 1 / population.choices)


def first(is_so: Callable[[int], bool], low: int, high: int) -> int:
    """The lowest number from `low` on, below `high`, from which on it is so; `high` if there is none."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if is_so(middle) else (middle + 1, high)
    return low
