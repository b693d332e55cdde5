"""A run's progress on a terminal; on anything else, a line for each stage would only be noise."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from stability.printable import clean


class RichListener:
    """Shows the stages and edits of a run, while it is open."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> RichListener:
        self._progress.start()
        self._task = self._progress.add_task("loading", total=None)
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def stage(self, text: str) -> None:
        """Show the stage's name."""
        if self._task is not None:
            self._progress.update(self._task, description=escape(clean(text)))

    def edits(self, label: str, done: int, total: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._progress.update(
                self._task, description=f"{escape(clean(label))}: editing", completed=done, total=total
            )
