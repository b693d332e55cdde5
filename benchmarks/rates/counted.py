"""What was counted of a cell's trials."""

from __future__ import annotations

from dataclasses import dataclass

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

    @classmethod
    def exactly(cls, rate: float) -> Counted:
        """A rate that is no sample."""
        return cls(EXACT, EXACT, round(EXACT * rate))
