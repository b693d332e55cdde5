"""Opening a tracker, and logging runs to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from stability.errors import TrackerError, UsageError
from stability.imports import find_part, in_one_line
from stability.parts import BUILT_IN, TRACKERS, Part, TrackerHead
from stability.trackers.steps.series import TrackedRun


class Tracker(Protocol):
    """Takes runs. It is made of a project's name: what MLflow calls an experiment."""

    def log(self, run: TrackedRun, name: str, artifacts: Sequence[Path]) -> str:
        """Log a run by that name, with copies of these files and folders; returns where it is.

        Raises:
            TrackerError: the tracker cannot be reached, or refuses.
        """


def log_runs(
    runs: Sequence[TrackedRun],
    tracker: str,
    *,
    project: str | None = None,
    name: str | None = None,
    artifacts: Sequence[Path] = (),
    told: Callable[[TrackedRun, str], None] | None = None,
) -> list[str]:
    """Log runs one after the other, and say where each is; `told` is, too, as soon as one is there.

    `project` is the suite's name if neither this nor the tracker's own configuration names one. `name` is
    the run's; of several runs, what their names begin with.

    Raises:
        UsageError: no tracker is called so, its package is not installed, or it is switched off.
        TrackerError: the tracker cannot be reached, or refuses.
    """
    if not runs:
        return []
    places = []
    part = find_part(TRACKERS, tracker, TrackerError)
    with environment(dict(part.head.environment)):
        opened = open_tracker(part, project or os.environ.get(part.head.project_variable) or runs[0].suite)
        for run in runs:
            called = run.name if name is None else name if len(runs) == 1 else f"{name} {run.name}"
            places.append(opened.log(run, called, artifacts))
            if told is not None:
                told(run, places[-1])
    return places


def open_tracker(part: Part[TrackerHead], project: str) -> Tracker:
    """The tracker as the user's own configuration has it.

    Raises:
        UsageError: its package is not installed, or is switched off.
        TrackerError: it cannot be opened.
    """
    name = part.head.name
    if part.source != BUILT_IN:
        with in_one_line(f"tracker {name}: opening it", TrackerError):
            return _Other(name, part.made(project))
    try:
        opened: Tracker = part.made(project)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != name:
            raise
        raise UsageError(
            f"--to {name}: {name} is not installed; pip install 'stability-harness[{name}]'"
        ) from error
    return opened


class _Other:
    """A tracker of another package: whatever it raises is one line."""

    def __init__(self, name: str, tracker: Tracker) -> None:
        self._name, self._tracker = name, tracker

    def log(self, run: TrackedRun, name: str, artifacts: Sequence[Path]) -> str:
        with in_one_line(f"tracker {self._name}: logging {run.name}", TrackerError):
            return self._tracker.log(run, name, artifacts)


@contextmanager
def environment(defaults: Mapping[str, str]) -> Iterator[None]:
    """While open, environment variables that are not set have these values."""
    added = {name: value for name, value in defaults.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
