"""A cell's trials: draw documents of known truth, write a record, judge it, and count."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from benchmarks.rates.answers import Choices, Documents, Fate, Task
from benchmarks.rates.cells import DATA, FAMILIES, Cell
from benchmarks.rates.records import EDITOR, Tasks, record, suite
from stability.judge import Baseline, Verdict, judge
from stability.judge.side_by_side.editors import Contender, compare_editors

TOLERANCE = 0.05
DRAWS = 10  # damaged models for each `detects`
RARE = 1e-7  # the share of tables on either side that are not looked at
EXACT = 1_000_000  # what a rate that is no sample is counted as a part of


@dataclass(frozen=True)
class Counted:
    """Of `trials`, how many were judged, in how many of those the event was seen, and how often the drop's
    lower limit was at or below the true change (single tests of a drop)."""

    trials: int = 0
    judged: int = 0
    seen: int = 0
    covered: int = 0

    def __add__(self, other: Counted) -> Counted:
        return Counted(
            self.trials + other.trials,
            self.judged + other.judged,
            self.seen + other.seen,
            self.covered + other.covered,
        )


Draw = Callable[[float, float], Tasks]  # edited tasks, given flips and drop


def simulate(cell: Cell, trials: int, done: int = 0) -> Counted:
    """So many more trials after those `done`, with random numbers of their own; some cells need none."""
    population = DATA[cell.data]
    if cell.claim == "fails" and cell.correlation == 0 and isinstance(population, Choices):
        return enumerated(cell, population)
    rng = np.random.default_rng([zlib.crc32(repr(cell).encode()), done])
    trial = {"fails": fails, "detects": detects, "differs": differs}[cell.claim]
    counted = Counted()
    while counted.trials < trials:
        counted += trial(cell, rng)
    return counted


def fails(cell: Cell, rng: np.random.Generator) -> Counted:
    """Every test's true drop is exactly the tolerance."""
    base, runs = family(cell, rng, TOLERANCE)
    spec = suite(base, cell.against)
    if cell.against == "base":
        judged = judge(spec, record(base, runs))
    else:
        unedited = {name: DATA[cell.data].draw(rng, cell.n) for name in base}
        earlier = record(unedited, [[base for _ in points] for points in runs])
        judged = judge(spec, record(unedited, runs), {EDITOR: Baseline(earlier)})
    if any(verdict.status in ("error", "skip") for verdict in judged.verdicts):
        return Counted(1)
    low = min(verdict.interval[0] for verdict in judged.verdicts if verdict.interval)
    return Counted(1, 1, int(judged.counts["fail"] > 0), int(low <= -TOLERANCE + 1e-12))


def enumerated(cell: Cell, population: Choices) -> Counted:
    """Of accuracies, exactly: the probability of every table of gains and losses that fails.

    For each number of gains the fewest losses that fail are found by halving, while the other tests see no
    change; of independent tests any fails if one does so. Counted as of a million.
    """
    gained, lost = (cell.flips - TOLERANCE) / 2, (cell.flips + TOLERANCE) / 2
    rate = 0.0
    for gains in range(int(binom.ppf(RARE, cell.n, gained)), int(binom.isf(RARE, cell.n, gained)) + 1):
        of_rest = binom(cell.n - gains, lost / (1 - gained))
        low, high = int(of_rest.ppf(RARE)), int(of_rest.isf(RARE)) + 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if table_fails(cell, population, gains, middle) else (middle + 1, high)
        rate += binom.pmf(gains, cell.n, gained) * of_rest.sf(low - 1)
    return Counted(EXACT, EXACT, round(EXACT * (1 - (1 - rate) ** cell.tests)))


def table_fails(cell: Cell, population: Choices, gains: int, losses: int) -> bool:
    """Whether a test fails in which so many documents turn right, and so many wrong."""
    right = min(max(round(population.right * cell.n), losses), cell.n - gains)
    place = np.arange(cell.n)
    gold = place % population.choices
    wrong = place >= right, (place < losses) | (place >= right + gains)
    before, now = (
        (Documents("acc", gold, (gold + one) % population.choices, 1 / population.choices),) for one in wrong
    )
    base, runs = with_one(cell, before, before, now)
    earlier = {EDITOR: Baseline(record(base, [[base] * len(points) for points in runs]))}
    judged = judge(suite(base, cell.against), record(base, runs), earlier)
    return judged.counts["fail"] > 0


def detects(cell: Cell, rng: np.random.Generator) -> Counted:
    """Without a drop the verdict says what it detects; then one test's true drop, by damage, is that."""
    population = DATA[cell.data]
    before = population.draw(rng, cell.n)
    same = population.edited(before, fate(cell, rng), cell.flips, 0.0)
    drop = verdict(cell, before, same, same).detects
    guess = population.flips_of(drop) if drop is not None else 0.0
    if drop is None or not np.isfinite(drop) or drop > 0.6 or cell.flips + guess > 1:
        return Counted(DRAWS)
    found = 0
    for _ in range(DRAWS):
        damaged = population.edited(before, fate(cell, rng), cell.flips + guess, drop)
        found += verdict(cell, before, same, damaged).status == "fail"
    return Counted(DRAWS, DRAWS, found)


def verdict(cell: Cell, before: Task, same: Task, one: Task) -> Verdict:
    """Of the first task, when every test of the family sees the same results, but for one."""
    base, runs = with_one(cell, before, same, one)
    return judge(suite(base), record(base, runs)).verdicts[0]


def with_one(cell: Cell, before: Task, same: Task, one: Task) -> tuple[Tasks, list[list[Tasks]]]:
    """The unedited results, and those of each seed at each checkpoint: the same everywhere, but for one."""
    tasks, checkpoints, seeds = FAMILIES[cell.tests]
    names = task_names(tasks)
    others = dict.fromkeys(names, same)
    runs = [[others] * checkpoints for _ in range(seeds)]
    runs[0][0] = {**others, names[0]: one}
    return dict.fromkeys(names, before), runs


def differs(cell: Cell, rng: np.random.Generator) -> Counted:
    """Two editors whose models differ by flips, and by no drop."""
    base, runs = family(cell, rng, 0.0)
    _, others = family(cell, rng, 0.0, base)
    spec = suite(base)
    contenders = [
        Contender(name, record(base, points, name), name) for name, points in (("a", runs), ("b", others))
    ]
    compared = compare_editors(spec, contenders)
    outcomes = [row.cells[1].outcome for row in compared.rows]
    if any(outcome in ("missing", "untold", "alone") for outcome in outcomes):
        return Counted(1)
    return Counted(1, 1, int(any(outcome != "same" for outcome in outcomes)))


def family(
    cell: Cell, rng: np.random.Generator, drop: float, base: Tasks | None = None
) -> tuple[Tasks, list[list[Tasks]]]:
    """The unedited results (those of `base`, if given), and those of each seed at each checkpoint."""
    tasks, checkpoints, seeds = FAMILIES[cell.tests]
    population = DATA[cell.data]
    before = base or {name: population.draw(rng, cell.n) for name in task_names(tasks)}
    fates = {name: Fate.draw(rng, cell.n, checkpoints * seeds, cell.correlation) for name in before}
    now = [
        {name: population.edited(before[name], fates[name][test], cell.flips, drop) for name in before}
        for test in range(checkpoints * seeds)
    ]
    return before, [now[seed * checkpoints : (seed + 1) * checkpoints] for seed in range(seeds)]


def fate(cell: Cell, rng: np.random.Generator) -> Fate:
    """Of a single test."""
    return Fate.draw(rng, cell.n, 1, 0.0)[0]


def task_names(count: int) -> tuple[str, ...]:
    """`a`, `b` ..."""
    return tuple("abcdefgh"[:count])
