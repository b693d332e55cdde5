"""The sequential run: edit, checkpoint, measure, until the last edit or the first failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.run.examination import Examination
    from stability.run.experiment import Experiment, run_suite
    from stability.run.listener import Listener, Silent
    from stability.run.text import measured_text

__all__ = ["Examination", "Experiment", "Listener", "Silent", "measured_text", "run_suite"]

__getattr__ = attributes_from(
    __name__,
    {
        "stability.run.examination": ("Examination",),
        "stability.run.listener": (
            "Listener",
            "Silent",
        ),
        "stability.run.experiment": (
            "Experiment",
            "run_suite",
        ),
        "stability.run.text": ("measured_text",),
    },
)
