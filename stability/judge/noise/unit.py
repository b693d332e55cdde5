"""A check's bound as a drop of the score, whether it is on a difference, a ratio or a relative change.

A ratio's bound allows a share of the score before, and the tests take that score as it was measured: that the
same documents were scored before makes them a little strict, never lax (docs/statistics.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stability.suite import Bound

Change = Literal["ratio", "absolute", "relative"]


@dataclass(frozen=True)
class Unit:
    """What a check's bound is a number of: a difference of scores, or a share of the score `before`."""

    change: Change
    before: float

    def tolerance(self, bound: Bound) -> float:
        """The drop of the score that the bound allows."""
        return -self.difference(bound.low)

    def difference(self, value: float) -> float:
        """The change of the score, of a value of the check."""
        return value if self.change == "absolute" else (value - (self.change == "ratio")) * self.before

    def value(self, difference: float) -> float:
        """The value of the check, of a change of the score."""
        return (
            difference if self.change == "absolute" else difference / self.before + (self.change == "ratio")
        )

    def drop(self, drop: float) -> float:
        """A drop of the score as the check counts it: of a ratio its distance from 1."""
        return drop if self.change == "absolute" else drop / self.before

    def scale(self, now: float) -> float:
        """What rounding is measured by; see `compare.scale_of`."""
        return {"absolute": max(abs(self.before), abs(now)), "relative": 1.0, "ratio": 0.0}[self.change]
