"""Metrics: one kind of figure a file, found by its head (`stability.parts.METRICS`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.metrics.plugin.find import find_metric, heads_of, metrics_of, refuse_unjudgeable
    from stability.metrics.plugin.metric import Context, Fitted, Metric, Skipped
    from stability.metrics.scoring.lengths import refuse_too_long
    from stability.metrics.scoring.observation import Observation, observe
    from stability.metrics.scoring.outcome import edit_outcomes

__all__ = [
    "Context",
    "Fitted",
    "Metric",
    "Observation",
    "Skipped",
    "edit_outcomes",
    "find_metric",
    "heads_of",
    "metrics_of",
    "observe",
    "refuse_too_long",
    "refuse_unjudgeable",
]

__getattr__ = attributes_from(
    __name__,
    {
        "stability.metrics.scoring.lengths": ("refuse_too_long",),
        "stability.metrics.scoring.observation": ("Observation", "observe"),
        "stability.metrics.scoring.outcome": ("edit_outcomes",),
        "stability.metrics.plugin.find": ("find_metric", "heads_of", "metrics_of", "refuse_unjudgeable"),
        "stability.metrics.plugin.metric": ("Context", "Fitted", "Metric", "Skipped"),
    },
)
