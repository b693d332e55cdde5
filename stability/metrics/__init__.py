"""Metrics: one kind of figure a file, found by its head (`stability.parts.METRICS`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.metrics.activations.steps.observation import Observation, observe
    from stability.metrics.edits.steps.outcome import edit_outcomes
    from stability.metrics.plugin.find import find_metric, heads_of, metrics_of, refuse_unjudgeable
    from stability.metrics.plugin.metric import Context, Metric, Skipped

__all__ = [
    "Context",
    "Metric",
    "Observation",
    "Skipped",
    "edit_outcomes",
    "find_metric",
    "heads_of",
    "metrics_of",
    "observe",
    "refuse_unjudgeable",
]

__getattr__ = attributes_from(
    __name__,
    {
        "stability.metrics.activations.steps.observation": ("Observation", "observe"),
        "stability.metrics.edits.steps.outcome": ("edit_outcomes",),
        "stability.metrics.plugin.find": ("find_metric", "heads_of", "metrics_of", "refuse_unjudgeable"),
        "stability.metrics.plugin.metric": ("Context", "Metric", "Skipped"),
    },
)
