"""Experiment trackers: each is given one run for each editor and seed of a record, one tracker a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from stability.errors import UsageError
from stability.trackers.series import TrackedRun, tracked_runs

__all__ = ["TrackedRun", "Tracker", "TrackerName", "log_runs", "open_tracker", "tracked_runs"]

# Unless the user says otherwise, a tracker sends no word of its own use to its makers, MLflow does not print
# where a run is, with the store's password, and W&B (before 0.19, and since) does not put the machine that
# logs beside a run that another machine may have made.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB__DISABLE_STATS": "true",
    "WANDB__DISABLE_META": "true",
    "WANDB_X_DISABLE_STATS": "true",
    "WANDB_X_DISABLE_META": "true",
}


class TrackerName(StrEnum):
    """The trackers there are."""

    mlflow = "mlflow"
    wandb = "wandb"


PROJECT_VARIABLES = {TrackerName.mlflow: "MLFLOW_EXPERIMENT_NAME", TrackerName.wandb: "WANDB_PROJECT"}


class Tracker(Protocol):
    """Takes runs."""

    def log(self, run: TrackedRun, name: str, artifacts: Sequence[Path]) -> str:
        """Log a run by that name, with copies of these files and folders; returns where it is.

        Raises:
            TrackerError: the tracker cannot be reached, or refuses.
        """


def log_runs(
    runs: Sequence[TrackedRun],
    tracker: TrackerName,
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
        UsageError: the tracker's package is not installed, or is switched off.
        TrackerError: the tracker cannot be reached, or refuses.
    """
    if not runs:
        return []
    places = []
    with environment(QUIET):
        opened = open_tracker(tracker, project or os.environ.get(PROJECT_VARIABLES[tracker]) or runs[0].suite)
        for run in runs:
            called = run.name if name is None else name if len(runs) == 1 else f"{name} {run.name}"
            places.append(opened.log(run, called, artifacts))
            if told is not None:
                told(run, places[-1])
    return places


def open_tracker(tracker: TrackerName, project: str) -> Tracker:
    """The tracker as the user's own configuration has it; `project` is what MLflow calls an experiment.

    Raises:
        UsageError: its package is not installed, or is switched off.
        TrackerError: it cannot be opened.
    """
    try:
        if tracker is TrackerName.mlflow:
            from stability.trackers.mlflow import MlflowTracker

            return MlflowTracker(project)
        from stability.trackers.wandb import WandbTracker

        return WandbTracker(project)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != tracker:
            raise
        raise UsageError(
            f"--to {tracker}: {tracker} is not installed; pip install 'stability-harness[{tracker}]'"
        ) from error


@contextmanager
def environment(defaults: Mapping[str, str]) -> Iterator[None]:
    """Within, the environment's variables that nobody has set are these."""
    added = {name: value for name, value in defaults.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
