"""Experiment trackers: each is given one run for each editor and seed of a record, one tracker a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.trackers.steps.series import TrackedRun, tracked_runs
    from stability.trackers.steps.tracker import Tracker, log_runs, open_tracker

__all__ = ["TrackedRun", "Tracker", "log_runs", "open_tracker", "tracked_runs"]

__getattr__ = attributes_from(
    __name__,
    {
        "stability.trackers.steps.series": ("TrackedRun", "tracked_runs"),
        "stability.trackers.steps.tracker": ("Tracker", "log_runs", "open_tracker"),
    },
)
