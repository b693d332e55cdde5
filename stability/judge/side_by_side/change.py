"""One check's value for two editors at the same seeds: the change, and whether it is beyond noise."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import stdev
from typing import Literal

from scipy.special import stdtr, stdtrit

from stability.judge.noise.drops import Drop, ResampledDrop
from stability.judge.noise.enough import check_enough
from stability.judge.noise.holm import HolmDecision
from stability.judge.problems import CannotJudge
from stability.suite import Bound

EQUAL = 1e-12  # of the numbers that values are computed from: values that differ by less are the same

Outcome = Literal["better", "worse", "mixed", "same", "untold", "alone", "missing"]


@dataclass(frozen=True)
class ChangeCell:
    """One check's value for one editor.

    `value` is the mean over seeds of the value that decides the check, `change` the difference of that mean
    from the other editor's. `interval` is that of the change, at the level at which Holm's procedure decided
    it. `outcome` is `untold` if there is a change but it cannot be tested for noise, and `alone` if only this
    editor has a value.
    """

    value: float | None = None
    change: float | None = None
    interval: tuple[float, float] | None = None
    outcome: Outcome = "missing"
    note: str = ""


@dataclass(frozen=True, eq=False)
class SeedChange:
    """One check's values by seed (`before` are the other editor's), and a task's drop at each seed.

    `scale` is the size of the numbers whose differences the values are, or 0: rounding is measured by it.
    `whole` is the score that the values are shares of, if they are ratios or relative changes. `untold` says
    why a change at a single seed cannot be tested.
    """

    bound: Bound
    before: Mapping[int, float]
    now: Mapping[int, float]
    drops: Mapping[int, Drop]
    scale: float = 0.0
    whole: float = 1.0
    untold: str = "one seed"

    @cached_property
    def gains(self) -> list[float]:
        """How much farther inside the bound the value is, at each seed."""
        return [self.bound.reach(self.now[seed]) - self.bound.reach(self.before[seed]) for seed in self.now]

    @cached_property
    def changes(self) -> list[float]:
        """The change of the value at each seed."""
        return [self.now[seed] - self.before[seed] for seed in self.now]

    @property
    def is_same(self) -> bool:
        """Whether the values are equal at every seed."""
        slack = EQUAL * self.scale
        values = all(
            math.isclose(self.now[seed], self.before[seed], rel_tol=EQUAL, abs_tol=slack) for seed in self.now
        )
        return values and not any(drop.flip_rate for drop in self.drops.values())

    @property
    def broken(self) -> Outcome | None:
        """The outcome if a value is not finite, which needs no test."""
        now, before = (all(map(math.isfinite, values.values())) for values in (self.now, self.before))
        if now and before:
            return None
        return "same" if now == before else "better" if now else "worse"

    @cached_property
    def p_values(self) -> list[float]:
        """Two-sided: by documents for each seed, or one for all seeds; empty if nothing can be tested."""
        if not (self.now and self.before) or self.is_same or self.broken:
            return []
        if self.drops:
            return [drop.no_change_p_value() for drop in self.drops.values()]
        return [student(self.gains)] if len(self.gains) > 1 else []

    def of_enough(self, tests: int) -> SeedChange:
        """Without its drops, if these are of too few documents for one of so many tests."""
        try:
            for drop in self.drops.values():
                if isinstance(drop, ResampledDrop):
                    check_enough("", drop, tests)
        except CannotJudge:
            return replace(self, drops={}, untold="too few documents")
        return self

    def cell(self, decisions: Sequence[HolmDecision]) -> ChangeCell:
        """The change, given the decision on each of its tests."""
        if not self.now:
            return ChangeCell()
        value = mean(self.now.values())
        if not self.before:
            return ChangeCell(value, outcome="alone")
        if self.broken:
            return ChangeCell(value, None, None, self.broken, "not finite")
        change = mean(self.changes)
        if self.is_same:
            return ChangeCell(value, change, None, "same")
        if not decisions:
            return ChangeCell(value, change, None, "untold", self.untold)
        if self.drops:
            return self._by_documents(value, change, decisions)
        better: Outcome = "better" if mean(self.gains) > 0 else "worse"
        limits = student_limits(self.changes, decisions[0].level)
        return ChangeCell(value, change, limits, better if decisions[0].rejected else "same")

    def _by_documents(self, value: float, change: float, decisions: Sequence[HolmDecision]) -> ChangeCell:
        told = {
            seed: drop.now > drop.before
            for (seed, drop), decision in zip(self.drops.items(), decisions, strict=True)
            if decision.rejected
        }
        outcome: Outcome = "same"
        if told:
            outcome = "mixed" if len(set(told.values())) > 1 else "better" if all(told.values()) else "worse"
        if len(self.drops) == 1:
            [drop] = self.drops.values()
            lower = drop.p_value(0.0)
            normal = 2 * min(lower, 1 - lower)
            level = decisions[0].level_of_interval(normal, self.p_values[0])
            low, high = sorted(limit / self.whole for limit in drop.limits(1 - level / 2))
            return ChangeCell(value, change, (low, high), outcome)
        note = f"at {len(told)} of {len(self.drops)} seeds" if told else ""
        return ChangeCell(value, change, None, outcome, note)


def mean(values: Iterable[float]) -> float:
    """The mean of values that may be infinite or NaN."""
    listed = list(values)
    return sum(listed) / len(listed)


def student(differences: Sequence[float]) -> float:
    """Two-sided p-value of Student's t for paired differences [seeds]; 0 if all of them are the same."""
    spread = stdev(differences)
    if spread == 0:
        return 0.0
    statistic = mean(differences) / (spread / math.sqrt(len(differences)))
    return float(2 * stdtr(len(differences) - 1, -abs(statistic)))


def student_limits(differences: Sequence[float], level: float) -> tuple[float, float]:
    """Two-sided limits of the mean of paired differences [seeds], at confidence 1 - level."""
    error = stdev(differences) / math.sqrt(len(differences))
    reach = float(stdtrit(len(differences) - 1, 1 - level / 2)) * error
    return mean(differences) - reach, mean(differences) + reach
