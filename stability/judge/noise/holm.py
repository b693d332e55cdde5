"""Holm's step-down over a family of tests (Scandinavian Journal of Statistics 6, 1979)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class HolmDecision:
    """Whether a hypothesis is rejected, and the level at which the procedure decided that.

    A p-value is at most `level` exactly when its hypothesis is rejected, so an interval at confidence
    1 - level agrees with the test.
    """

    rejected: bool
    level: float

    def level_of_interval(self, normal: float, exact: float) -> float:
        """The level of an interval that agrees with the decision on the exact p-value.

        An interval is made of normal p-values, and its level is not `level` where they decide otherwise.
        """
        agrees = (normal <= self.level) == self.rejected or exact == 0
        return self.level if agrees else self.level * normal / exact


def holm(p_values: Sequence[float], alpha: float) -> list[HolmDecision]:
    """Decide every hypothesis; the probability of any false rejection at all is at most `alpha`."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    decisions: dict[int, HolmDecision] = {}
    stopped: float | None = None
    for step, index in enumerate(order):
        level = alpha / (len(p_values) - step)
        if stopped is None and p_values[index] > level:
            stopped = level
        decisions[index] = HolmDecision(stopped is None, level if stopped is None else stopped)
    return [decisions[index] for index in range(len(p_values))]
