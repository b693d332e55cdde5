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
