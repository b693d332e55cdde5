"""The budget of a run: seconds by this process's clock, and memory as the system counts it."""

from __future__ import annotations

import time
from pathlib import Path

from stability.record import Problem
from stability.suite import LimitsSpec

EVERY = 0.2  # s between two looks


class Budget:
    """What a run in a process of its own may spend; it starts when this is made.

    `spent` are the seconds that were spent on it before, if it goes on with an earlier run.
    """

    def __init__(self, limits: LimitsSpec, spent: float = 0.0) -> None:
        self._limits = limits
        self._looked = time.monotonic()
        self._started = self._looked - spent
        self._editing: tuple[float, int] | None = None  # since when, and how many edits

    def editing(self, edits: int) -> None:
        """A batch of edits begins."""
        self._editing = (time.monotonic(), edits)

    def edited(self) -> None:
        """It is made, and asked about."""
        self._editing = None

    def exceeded(self, pid: int, made: int) -> Problem | None:
        """Which limit the process is past, after so many edits; None if none, or if just asked."""
        now = time.monotonic()
        if now - self._looked < EVERY:
            return None
        self._looked = now
        limits = self._limits
        if now - self._started > limits.total_seconds:
            return _over(made, f"total_seconds={limits.total_seconds:g}")
        if self._editing is not None:
            since, edits = self._editing
            if now - since > limits.edit_seconds * edits:
                return _over(made, f"edit_seconds={limits.edit_seconds:g}")
        if limits.memory_bytes is not None and resident(pid) > limits.memory_bytes:
            return _over(made, f"memory={limits.memory}")
        return None


def resident(pid: int) -> int:
    """The memory that a process holds, in bytes; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")]
    return 1024 * int(found[0]) if found else 0  # a process that has ended has no such line


def _over(made: int, limit: str) -> Problem:
    words = f"over its budget at edit {made + 1}: run.limits.{limit}"
    return Problem(kind="over_budget", message=words, expected=limit)
