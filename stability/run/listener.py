"""Who is told how far a run has come."""

from __future__ import annotations

from typing import Protocol


class Listener(Protocol):
    """Told of each step; what it does with it is its own affair."""

    def stage(self, text: str) -> None:
        """A stage without countable steps begins."""

    def edits(self, label: str, done: int, total: int) -> None:
        """So many edits of a run have been made."""


class Silent:
    """A listener that ignores every event."""

    def stage(self, text: str) -> None:
        """Say nothing."""

    def edits(self, label: str, done: int, total: int) -> None:
        """Say nothing."""
