"""Student's t of a mean of skewed numbers, and the more cautious of two tests.

The mean of numbers that are skewed to the right lies below the true one together with its standard error, so
that too many drops seem certain, and the more so the farther out in the tail the level is, as Holm's levels
are. Johnson's modified t (Journal of the American Statistical Association 73, 1978) takes the skewness out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from scipy.special import stdtr, stdtrit

LEAST_SLOPE = 0.25  # of Johnson's t in Student's: it would turn back, and is continued by a straight line


class ChangeTest(Protocol):
    """A change, tested against hypotheses on its true size."""

    def p_value(self, hypothesis: float) -> float:
        """One-sided: the smallest alpha whose upper limit at 1 - alpha is still at or below `hypothesis`."""

    def limit(self, confidence: float) -> float:
        """One-sided upper limit at `confidence`; the lower one is that of 1 - confidence."""


@dataclass(frozen=True)
class Johnson:
    """Of a change, its standard error, and a sixth of the skewness of its distribution.

    `degrees` of freedom are those of the standard error. Skewness to the other side than a limit makes a
    plain t too wide, and is left as it is.
    """

    change: float
    error: float
    skewness: float
    degrees: float

    def p_value(self, hypothesis: float) -> float:
        """See `ChangeTest`."""
        student = (self.change - hypothesis) / self.error
        side = math.copysign(1.0, student)
        return float(stdtr(self.degrees, side * modified(abs(student), self._against(-side))))

    def limit(self, confidence: float) -> float:
        """See `ChangeTest`."""
        reach = float(stdtrit(self.degrees, confidence))
        side = math.copysign(1.0, reach)
        return self.change + side * unmodified(abs(reach), self._against(side)) * self.error

    def _against(self, side: float) -> float:
        """The skewness that makes changes on this side of the estimate likelier than they seem."""
        return max(side * self.skewness, 0.0)


def modified(student: float, skewness: float) -> float:
    """Johnson's t, (t - s) - 2 s t², of Student's `student` >= 0 and s = `skewness` >= 0; it rises with t."""
    end = turn(skewness)
    if student <= end:
        return student - skewness * (1 + 2 * student**2)
    return modified(end, skewness) + LEAST_SLOPE * (student - end)


def unmodified(johnson: float, skewness: float) -> float:
    """Student's t of which Johnson's is `johnson` >= 0."""
    end = turn(skewness)
    beyond = johnson - modified(end, skewness) if skewness else 0.0
    if beyond > 0:
        return end + beyond / LEAST_SLOPE
    wanted = johnson + skewness
    return 2 * wanted / (1 + math.sqrt(1 - 8 * skewness * wanted))


def turn(skewness: float) -> float:
    """Student's t from which on Johnson's rises by `LEAST_SLOPE` alone."""
    return (1 - LEAST_SLOPE) / (4 * skewness) if skewness else math.inf


@dataclass(frozen=True)
class MoreCautious:
    """Two tests of the same change, of which the one that claims less counts."""

    one: ChangeTest
    other: ChangeTest

    def p_value(self, hypothesis: float) -> float:
        """See `ChangeTest`; the one nearer to a half."""
        return min((test.p_value(hypothesis) for test in (self.one, self.other)), key=lambda p: abs(p - 0.5))

    def limit(self, confidence: float) -> float:
        """See `ChangeTest`; the farther one."""
        limits = self.one.limit(confidence), self.other.limit(confidence)
        return max(limits) if confidence > 0.5 else min(limits)
