"""How much a gate looks at: the weights on disk, the loaded models, their tasks; and the edits, if known."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from stability.parts import MetricHead


class Level(StrEnum):
    """Each looks at what the one before does, and more."""

    weights = "weights"
    activations = "activations"
    tasks = "tasks"


def not_asked(level: Level, metrics: Mapping[str, MetricHead], *, with_edits: bool) -> dict[str, str]:
    """The metrics that are beyond a level, each with what would measure it."""
    from stability.judge.problems import NOT_VERIFIED  # the command line reads the levels, and judges nothing

    reasons = {}
    for name, head in sorted(metrics.items()):
        if head.about == "edits":
            if not with_edits:
                reasons[name] = NOT_VERIFIED
        elif head.measured == "clock":
            if head.about == "editing":
                reasons[name] = "no edit was made here"
        elif head.over == "task":
            if level is not Level.tasks:
                reasons[name] = "needs --level tasks"
        elif level is Level.weights and not head.streamed:
            reasons[name] = "needs --level activations"
    return reasons
