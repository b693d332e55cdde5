"""The right-hand side of an assertion: `<= 2.0`, `within 0.01 of 1`, `between 0.6 and 1.67`."""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass

NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
COMPARISON = re.compile(rf"(<=|>=|==|<|>)\s*{NUMBER}")
WITHIN = re.compile(rf"within\s+{NUMBER}\s+of\s+{NUMBER}")
BETWEEN = re.compile(rf"between\s+{NUMBER}\s+and\s+{NUMBER}")
ROUNDING = 8 * sys.float_info.epsilon  # of a value at its scale: what a few additions and divisions leave


@dataclass(frozen=True)
class Bound:
    """An interval that a value must be in. `text` is the assertion as it was written."""

    text: str
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False

    def holds(self, value: float, scale: float = 0.0) -> bool:
        """Whether the value is inside; NaN never is, nor is an infinity outside an end.

        `scale` is the size of the numbers whose difference the value is, or 0: what is nearer to an end than
        rounding at that size can tell is at the end.
        """
        if math.isnan(value):
            return False
        above, below = (
            0.0 if _is_at(value, end, scale) else value - end if value != end else 0.0
            for end in (self.low, self.high)
        )
        return (above > 0 > below) if self.strict else (above >= 0 >= below)

    def distance(self, value: float) -> float:
        """How far inside (positive) or outside (negative) the value is, measured from the nearest end."""
        if math.isnan(value):
            return -math.inf
        return min(value - self.low, self.high - value)

    def accepts(self, value: float, scale: float = 0.0) -> bool:
        """Whether a measured value is inside, see `holds`; one that is not finite never is."""
        return math.isfinite(value) and self.holds(value, scale)

    def reach(self, value: float) -> float:
        """The distance of a measured value; a value that is not finite is infinitely far outside."""
        return self.distance(value) if math.isfinite(value) else -math.inf

    def nearest(self, value: float) -> float:
        """The end that the value is nearest to, or past."""
        if math.isnan(value):
            return self.low if math.isfinite(self.low) else self.high
        return self.low if value - self.low < self.high - value else self.high

    def margin(self, value: float) -> float | None:
        """The distance as a share of the nearest end; None where that end is 0 or the value is not finite."""
        end = self.nearest(value)
        if end == 0 or not math.isfinite(value):
            return None
        return self.distance(value) / abs(end)


def _is_at(value: float, end: float, scale: float) -> bool:
    """Whether the value is the end but for rounding."""
    if not (math.isfinite(value) and math.isfinite(end)):
        return False
    return abs(value - end) <= ROUNDING * max(abs(end), scale)


def parse_bound(text: str) -> Bound:
    """Read an assertion.

    Raises:
        ValueError: it is none of the three forms.
    """
    words = " ".join(text.split())
    if match := COMPARISON.fullmatch(words):
        sign, number = match[1], float(match[2])
        low = number if sign in (">=", ">", "==") else -math.inf
        high = number if sign in ("<=", "<", "==") else math.inf
        return Bound(words, low, high, strict=sign in ("<", ">"))
    if match := WITHIN.fullmatch(words):
        reach, centre = float(match[1]), float(match[2])
        if reach < 0:
            raise ValueError(f"{text!r} reaches less than nothing; write e.g. 'within 0.01 of 1'")
        return Bound(words, centre - reach, centre + reach)
    if match := BETWEEN.fullmatch(words):
        low, high = float(match[1]), float(match[2])
        if low > high:
            raise ValueError(f"{text!r} is empty; write 'between {high:g} and {low:g}'")
        return Bound(words, low, high)
    raise ValueError(
        f"cannot read {text!r}; write e.g. '<= 2.0', 'within 0.01 of 1' or 'between 0.6 and 1.67'"
    )
