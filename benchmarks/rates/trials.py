"""A cell's trials: draw documents of known truth, write a record, judge it, and count."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace

import numpy as np

from benchmarks.rates.answers import Choices, Fate, Task
from benchmarks.rates.cells import DATA, FAMILIES, Cell
from benchmarks.rates.counted import Counted
from benchmarks.rates.enumerated import enumerated, is_enumerated
from benchmarks.rates.records import BOUNDS, EDITOR, Tasks, record, suite, task_names, with_one
from stability.judge import Baseline, Verdict, judge
from stability.judge.side_by_side.editors import Contender, compare_editors

DRAWS = 2  # damaged models for each `detects`: more of one would tell little more
LIMIT = 0.08  # `max_detectable`, where the documents that would do are counted
MOST = 20_000  # of these


def simulate(cell: Cell, trials: int, done: int = 0) -> Counted:
    """So many more trials after those `done`, with random numbers of their own; some cells need none."""
    population = DATA[cell.data]
    if isinstance(population, Choices) and is_enumerated(cell):
        return enumerated(cell, population)
    rng = np.random.default_rng([zlib.crc32(repr(cell).encode()), done])
    trial = {"fails": fails, "detects": detects, "enough": enough, "differs": differs}[cell.claim]
    counted = Counted()
    while counted.trials < trials:
        counted += trial(cell, rng)
    return counted


def fails(cell: Cell, rng: np.random.Generator) -> Counted:
    """Every test's true drop is exactly the tolerance."""
    base, runs = family(cell, rng, allowed(cell))
    spec = suite(base, cell.against, cell.change)
    if cell.against == "base":
        judged = judge(spec, record(base, runs))
    else:
        unedited = {name: DATA[cell.data].draw(rng, cell.n) for name in base}
        earlier = record(unedited, [[base for _ in points] for points in runs])
        judged = judge(spec, record(unedited, runs), {EDITOR: Baseline(earlier)})
    if any(verdict.status in ("error", "skip") for verdict in judged.verdicts):
        return Counted(1)
    low = min(verdict.interval[0] for verdict in judged.verdicts if verdict.interval)
    return Counted(1, 1, int(judged.counts["fail"] > 0), int(low <= BOUNDS[cell.change] + 1e-12))


def allowed(cell: Cell) -> float:
    """The true drop of the score that the bound allows."""
    if cell.change == "absolute":
        return -BOUNDS["absolute"]
    population = DATA[cell.data]
    assert isinstance(population, Choices)
    return -BOUNDS["relative"] * population.right


def detects(cell: Cell, rng: np.random.Generator) -> Counted:
    """Without a drop the verdict says what it detects; then one test's true drop, by damage, is that."""
    population = DATA[cell.data]
    before = population.draw(rng, cell.n)
    same = population.edited(before, fate(cell, rng), cell.flips, 0.0)
    drop = verdict(cell, before, same, same).detects
    if drop is None or not np.isfinite(drop) or drop > 0.6:
        return Counted(DRAWS)
    return found(cell, before, drop, rng)


def enough(cell: Cell, rng: np.random.Generator) -> Counted:
    """Without a drop the verdict says how many documents would do; of as many, one test drops by so much."""
    population = DATA[cell.data]
    before = population.draw(rng, cell.n)
    same = population.edited(before, fate(cell, rng), cell.flips, 0.0)
    documents = verdict(cell, before, same, same, f", max_detectable: {LIMIT}").noise.documents_to_detect
    if documents is None or documents > MOST:
        return Counted(DRAWS)
    larger = replace(cell, n=math.ceil(documents))
    return found(larger, population.draw(rng, larger.n), LIMIT, rng)


def found(cell: Cell, before: Task, drop: float, rng: np.random.Generator) -> Counted:
    """How often a drop by damage fails, of one test of a family that has none."""
    population = DATA[cell.data]
    flips = cell.flips + population.flips_of(drop)
    if flips > 1:
        return Counted(DRAWS)
    same = population.edited(before, fate(cell, rng), cell.flips, 0.0)
    draws = [population.edited(before, fate(cell, rng), flips, drop) for _ in range(DRAWS)]
    return Counted(DRAWS, DRAWS, sum(verdict(cell, before, same, one).status == "fail" for one in draws))


def verdict(cell: Cell, before: Task, same: Task, one: Task, noise: str = "") -> Verdict:
    """Of the first task, when every test of the family sees the same results, but for one."""
    base, runs = with_one(FAMILIES[cell.tests], before, same, one)
    return judge(suite(base, noise=noise), record(base, runs)).verdicts[0]


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
