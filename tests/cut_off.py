"""Cutting a run or a search off, as whatever ends a process would."""

from __future__ import annotations

from stability.run import Silent


class CutOffError(KeyboardInterrupt):
    """Stands for whatever ends a process."""


class CutOff(Silent):
    """Counts the steps of a run from 1, and cuts it off at one of them."""

    def __init__(self, at: int | None = None) -> None:
        self.steps = 0
        self._at = at

    def stage(self, text: str) -> None:
        self._step()

    def edits(self, label: str, done: int, total: int) -> None:
        self._step()

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self._at:
            raise CutOffError
