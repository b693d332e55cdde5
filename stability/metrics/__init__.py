"""Metrics: one kind of figure a file, registered by name; every module of this package is imported here."""

from importlib import import_module
from pkgutil import walk_packages

from stability.metrics.activations.steps.observation import Observation, observe
from stability.metrics.edits.steps.outcome import edit_outcomes
from stability.metrics.plugin.metric import METRICS, Context, Metric, Skipped, register

for _module in walk_packages(__path__, f"{__name__}."):
    import_module(_module.name)

__all__ = ["METRICS", "Context", "Metric", "Observation", "Skipped", "edit_outcomes", "observe", "register"]
