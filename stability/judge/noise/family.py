"""The fourth step: which drops are real, by one-sided tests of every drop against the tolerance.

A check tests each of its tasks at each of its checkpoints and seeds. Holm's procedure decides which drops
exceed the tolerance; the probability that any of these decisions is wrong is at most 1 - confidence. A drop's
interval is shown at the level at which Holm decided it, so the whole interval is past the tolerance exactly
if the drop fails. The smallest detectable drop is stated at alpha divided by the size of the family, which is
the level that the first drop has to pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from stability.judge import words
from stability.judge.noise.drops import Drop
from stability.judge.noise.holm import holm
from stability.judge.noise.tasks import drop_of
from stability.judge.problems import CannotJudge
from stability.judge.reduce import DropTest, PointResult
from stability.suite import Bound
from stability.suite.schema import Noise

DECISIVE = ("failed", "inconclusive", "held")


def decide_drops(
    results: Sequence[PointResult], bound: Bound, noise: Noise, looks: int = 1
) -> list[PointResult]:
    """The results of one check, with all of their drops tested as one family, of `looks` such families.

    A result without a value, or with one that is not finite, stays as it is. A result whose documents do not
    allow a test becomes an error.
    """
    drops: list[dict[str, Drop]] = []
    tried: list[PointResult] = []
    for result in results:
        found: dict[str, Drop] = {}
        if result.value is not None and math.isfinite(result.value):
            try:
                found = _drops(result)
            except CannotJudge as reason:
                is_previous = result.assertion.check.relative_to == "previous"
                problem = words.of_baseline(reason.problem) if is_previous else reason.problem
                result = result.without_value(problem)
        tried.append(result)
        drops.append(found)
    tests = iter(judge_drops([drop for found in drops for drop in found.values()], bound, noise, looks))
    return [
        _decided(result, {task: next(tests) for task in found}, bound) if found else result
        for result, found in zip(tried, drops, strict=True)
    ]


def _drops(result: PointResult) -> dict[str, Drop]:
    """The drop of each task that the check looks at here.

    Raises:
        CannotJudge: a task's documents do not allow it.
    """
    compared = result.compared
    if compared is None:
        return {}
    selection, seed, edits = compared.selection, result.run.run.seed, result.edits
    before, now, called = selection.reference, selection.reading, selection.reference_name
    if before is None or now is None:
        return {}
    noise = result.assertion.check.noise
    cluster = noise.cluster if noise else None
    when = f"after {edits} edits"
    return {
        task: drop_of(task, before, now, when, (seed, edits), reference=called, cluster=cluster)
        for task in compared.values
    }


def _decided(result: PointResult, tests: Mapping[str, DropTest], bound: Bound) -> PointResult:
    """The result of the tests of its tasks: the worst drop among those with the most decisive outcome."""
    task = min(tests, key=lambda task: (DECISIVE.index(tests[task].outcome), bound.reach(tests[task].change)))
    found = tests[task]
    return replace(
        result,
        outcome=found.outcome,
        value=found.change,
        key=task,
        where="" if task == result.assertion.task else task,
        drop=found,
        detects=max(each.detects for each in tests.values()),
        shown_to_hold=all(each.low >= bound.low for each in tests.values()),
    )


def judge_drops(drops: Sequence[Drop], bound: Bound, noise: Noise, looks: int = 1) -> list[DropTest]:
    """Judge the family of drops of one check, of `looks` such families; the bound is `>= -tolerance`."""
    tolerance = -bound.low
    alpha = (1 - noise.confidence) / looks
    p_values = [drop.exact_p_value(tolerance) for drop in drops]
    tests = []
    for drop, p_value, decision in zip(drops, p_values, holm(p_values, alpha), strict=True):
        change = drop.now - drop.before
        low, high = drop.limits(1 - decision.level_of_interval(drop.p_value(tolerance), p_value))
        within = bound.accepts(change, max(abs(drop.before), abs(drop.now)))
        outcome: Literal["held", "failed", "inconclusive"] = (
            "held" if within else "failed" if decision.rejected else "inconclusive"
        )
        detects = drop.detects(tolerance, alpha / len(drops))
        tests.append(DropTest(outcome, change, low, high, p_value, detects, drop.flip_rate, drop.n))
    return tests
