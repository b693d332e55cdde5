"""How much a gate looks at: the weights on disk, the loaded models, their tasks; and the edits, if known."""

from __future__ import annotations

from enum import StrEnum

from stability.parts import COSTS, metric_names

EDIT_METRICS = (
    "edit_accuracy",
    "edit_retention",
    "edit_success",
    "neighborhood_success",
    "paraphrase_success",
    "retention",
    "retention_accuracy",
)
STREAMED = (
    "config_differences",
    "delta_norm",
    "delta_rank",
    "frozen_weights",
    "nonfinite",
    "tensor_differences",
    "tokenizer_differences",
    "weight_norm",
)


class Level(StrEnum):
    """Each looks at what the one before does, and more."""

    weights = "weights"
    activations = "activations"
    tasks = "tasks"


def not_asked(level: Level, *, with_edits: bool) -> dict[str, str]:
    """The metrics that are beyond a level, each with what would measure it."""
    from stability.judge.problems import NOT_VERIFIED  # the command line reads the levels, and judges nothing

    reasons = {}
    for name in metric_names():
        if name in EDIT_METRICS:
            if not with_edits:
                reasons[name] = NOT_VERIFIED
        elif name == "edit_seconds":
            reasons[name] = "no edit was made here"
        elif name == "task_score":
            if level is not Level.tasks:
                reasons[name] = "needs --level tasks"
        elif level is Level.weights and name not in STREAMED and name not in COSTS:
            reasons[name] = "needs --level activations"
    return reasons
