"""How much is done, without a clock: the calls that a piece of work makes, of functions in C, too."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any


def calls(work: Callable[[], object], note: Callable[[], object] | None = None) -> int:
    """The number of calls that the work makes, the same each time; `note` is told of each."""
    count = 0

    def called(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1
            if note is not None:
                note()

    before = sys.getprofile()
    sys.setprofile(called)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def exponent(counts: Mapping[int, float]) -> float:
    """The power of its size that a cost grows with, from the smallest size to the largest: 1 is linear."""
    small, large = min(counts), max(counts)
    return math.log(counts[large] / counts[small]) / math.log(large / small)
