"""How much a gate looks at: the weights on disk, the loaded models, their tasks; and the edits, if known."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from stability.parts import MetricHead

if TYPE_CHECKING:
    from stability.record import Problem


class Level(StrEnum):
    """Each looks at what the one before does, and more."""

    weights = "weights"
    activations = "activations"
    tasks = "tasks"


def not_asked(level: Level, metrics: Mapping[str, MetricHead], *, with_edits: bool) -> dict[str, Problem]:
    """The metrics that are beyond a level, each with what would measure it."""
    from stability.judge.words import NOT_VERIFIED  # the command line reads the levels, and judges nothing
    from stability.record import Problem

    reasons: dict[str, Problem] = {}
    for name, head in sorted(metrics.items()):
        if head.about == "edits":
            if not with_edits:
                reasons[name] = Problem(kind="edits_not_verified", message=NOT_VERIFIED)
        elif head.measured == "clock":
            if head.about == "editing":
                reasons[name] = Problem(kind="nothing_to_measure", message="no edit was made here")
        elif head.over == "task":
            if level is not Level.tasks:
                reasons[name] = _needs(Level.tasks)
        elif level is Level.weights and not head.streamed:
            reasons[name] = _needs(Level.activations)
    return reasons


def _needs(level: Level) -> Problem:
    from stability.record import Problem

    return Problem(kind="needs_level", message=f"needs --level {level}", level=level)
