"""Metrics: one kind of figure a file, registered by name; every module of this package is imported here."""

from importlib import import_module
from pkgutil import iter_modules

from stability.metrics.base import METRICS, Context, Metric, Skipped, register
from stability.metrics.edit_outcome import edit_outcomes
from stability.metrics.observation import Observation, observe

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["METRICS", "Context", "Metric", "Observation", "Skipped", "edit_outcomes", "observe", "register"]
