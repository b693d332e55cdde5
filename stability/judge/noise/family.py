"""The fourth step: which drops are real, by one-sided tests of every drop against the tolerance.

A check tests each of its tasks at each of its checkpoints and seeds. Holm's procedure decides which drops
exceed the tolerance; the probability that any of these decisions is wrong is at most 1 - confidence. A drop's
interval is shown at the level at which Holm decided it, so the whole interval is past the tolerance exactly
if the drop fails. The smallest detectable drop is stated at alpha divided by the size of the family, which is
the level that the first drop has to pass.

With `on_inconclusive: fail`, a drop past the bound and within noise fails unless it may be chance: of models
that dropped nothing at all, no more than the share 1 - confidence may have any value as low in the check.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from scipy.special import ndtr, ndtri

from stability.judge import words
from stability.judge.noise.chance import DEFAULT_CONFIDENCE
from stability.judge.noise.drops import Drop, ResampledDrop
from stability.judge.noise.enough import check_enough
from stability.judge.noise.holm import holm
from stability.judge.noise.tasks import drop_of
from stability.judge.noise.unit import Change, Unit
from stability.judge.problems import CannotJudge
from stability.judge.reduce import DropTest, PointResult, UntestedDrop
from stability.suite import Bound
from stability.suite.schema import Noise

DECISIVE = ("failed", "inconclusive", "held")


def decide_drops(
    results: Sequence[PointResult], bound: Bound, noise: Noise, looks: int = 1
) -> list[PointResult]:
    """The results of one check, with all of their drops tested as one family, of `looks` such families.

    A result without a value, or with one that is not finite, stays as it is. A result whose documents do not
    allow a test, or not one of so many, becomes an error.
    """
    tried = [_tried(result) for result in results]
    of = looks * sum(len(found) for _, found in tried)
    tried = [_enough(result, found, of) for result, found in tried]
    change = results[0].assertion.check.change if results else "absolute"
    family = [drop for _, found in tried for drop in found.values()]
    tests = iter(judge_drops(family, bound, noise, looks, change))
    return [
        _decided(result, {task: next(tests) for task in found}, bound) if found else result
        for result, found in tried
    ]


def _tried(result: PointResult) -> tuple[PointResult, dict[str, Drop]]:
    """A result and its drops; an error, and none, where its documents do not allow a test of them."""
    if result.value is None or not math.isfinite(result.value):
        return result, {}
    try:
        return result, _drops(result)
    except CannotJudge as reason:
        return _cannot(result, reason), {}


def _enough(result: PointResult, drops: dict[str, Drop], tests: int) -> tuple[PointResult, dict[str, Drop]]:
    """A result and its drops; an error, and none, where they are of too few documents for so many tests."""
    try:
        for task, drop in drops.items():
            if isinstance(drop, ResampledDrop):
                check_enough(task, drop, tests)
    except CannotJudge as reason:
        return _cannot(result, reason), {}
    return result, drops


def _cannot(result: PointResult, reason: CannotJudge) -> PointResult:
    """The result as an error."""
    is_previous = result.assertion.check.relative_to == "previous"
    return result.without_value(words.of_baseline(reason.problem) if is_previous else reason.problem)


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
    drops = {
        task: drop_of(task, before, now, when, (seed, edits), reference=called, cluster=cluster)
        for task in compared.values
    }
    change = result.assertion.check.change
    for task, drop in drops.items():
        if drop.before <= 0 and change != "absolute":
            raise CannotJudge(words.not_above_zero(called, task, drop.before, change))
    return drops


def tell_chance(results: Sequence[PointResult]) -> list[PointResult]:
    """Results of drops without `noise`; those that failed say what chance has to do with it."""
    looks = sum(len(result.compared.values) for result in results if result.compared)
    return [
        replace(result, untested=_untested(result, looks)) if result.outcome == "failed" else result
        for result in results
    ]


def _untested(result: PointResult, looks: int) -> UntestedDrop | None:
    """None where nothing can be said: the value is no number, or its documents do not allow a test."""
    if result.value is None or not math.isfinite(result.value):
        return None
    try:
        found = _drops(result)
    except CannotJudge:  # without results by document the value is all that there is
        return None
    drop = found.get(result.key) or next(iter(found.values()), None)
    if drop is None:
        return None
    unit = Unit(result.assertion.check.change, drop.before)
    low, high = drop.limits(DEFAULT_CONFIDENCE)
    by_chance = min(1.0, looks * drop.exact_p_value(0.0))
    return UntestedDrop(drop.n, unit.value(low), unit.value(high), by_chance)


def _decided(result: PointResult, tests: Mapping[str, DropTest], bound: Bound) -> PointResult:
    """The result of the tests of its tasks: the worst drop among those with the most decisive outcome."""

    def order(task: str) -> tuple[int, bool, float]:
        test = tests[task]
        return DECISIVE.index(test.outcome), not test.fails_inconclusive, bound.reach(test.change)

    task = min(tests, key=order)
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


def judge_drops(
    drops: Sequence[Drop],
    bound: Bound,
    noise: Noise,
    looks: int = 1,
    change: Change = "absolute",
) -> list[DropTest]:
    """Judge the family of drops of one check, of `looks` such families; the bound is a lower one of `change`.

    A bound on a ratio, or on a relative change, allows a share of the score that these documents had before.
    """
    alpha = (1 - noise.confidence) / looks
    units = [Unit(change, drop.before) for drop in drops]
    tolerances = [unit.tolerance(bound) for unit in units]
    p_values = [drop.exact_p_value(tolerance) for drop, tolerance in zip(drops, tolerances, strict=True)]
    decisions = holm(p_values, alpha)
    each = alpha / max(len(drops), 1)
    is_strict = noise.on_inconclusive == "fail"
    rates = [false_failures(drop, tolerance, each) for drop, tolerance in zip(drops, tolerances, strict=True)]
    tests = []
    for drop, unit, tolerance, p_value, decision in zip(
        drops, units, tolerances, p_values, decisions, strict=True
    ):
        value = unit.value(drop.now - drop.before)
        level = decision.level_of_interval(drop.p_value(tolerance), p_value)
        low, high = drop.limits(1 - level)
        within = bound.accepts(value, unit.scale(drop.now))
        outcome: Literal["held", "failed", "inconclusive"] = (
            "held" if within else "failed" if decision.rejected else "inconclusive"
        )
        by_chance = None if within else min(1.0, len(drops) * looks * drop.exact_p_value(0.0))
        detects = unit.drop(drop.detects(tolerance, each))
        limit = noise.max_detectable
        enough = None
        if limit is not None and unit.drop(tolerance) < limit < detects:
            enough = drop.documents(limit / unit.drop(1.0), tolerance, each)
        tests.append(
            DropTest(
                outcome=outcome,
                change=value,
                low=unit.value(low),
                high=unit.value(high),
                p_value=p_value,
                detects=detects,
                flip_rate=drop.flip_rate,
                n=drop.n,
                level=level,
                by_chance=by_chance,
                false_failures=min(1.0, sum(rates)) if is_strict else None,
                documents_to_detect=enough,
                fails_inconclusive=is_strict and by_chance is not None and by_chance <= 1 - noise.confidence,
            )
        )
    return tests


def false_failures(drop: Drop, tolerance: float, level: float) -> float:
    """The probability that with `on_inconclusive: fail` a drop fails at `level` if there truly is none."""
    if drop.error == 0:
        return 0.0
    return float(ndtr(min(-tolerance / drop.error, float(ndtri(level)))))
