"""The heads of the metrics that a suite names, as far as they can be read without a stranger's code."""

from __future__ import annotations

import difflib
from typing import Literal

from stability.errors import UsageError
from stability.imports import import_point, is_plain
from stability.parts import METRICS, MetricHead


def head_of(name: str) -> MetricHead | None:
    """The head of a metric that is built in or comes with an installed package.

    None for one that is named by path or dotted name: a suite may come from anyone, and is read without
    running what it names.

    Raises:
        UsageError: no metric has that plain name, or it is not to be imported.
    """
    if name in METRICS.built_in():
        return METRICS.built_in()[name].head
    return head_in(installed(name), name) if is_plain(name) else None


def measured_by(name: str) -> Literal["run", "gate", "clock"]:
    """By what a metric is measured; one that is not built in, by a run."""
    part = METRICS.built_in().get(name)
    return "run" if part is None else part.head.measured


def installed(name: str) -> object:
    """The metric of another package, by the name of its entry point.

    Raises:
        UsageError: there is none, or importing it failed.
    """
    point = METRICS.points().get(name)
    if point is not None:
        return import_point(point, "metric", UsageError)
    known = METRICS.names()
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
    raise UsageError(f"no metric is called {name!r}; {hint}")


def head_in(found: object, name: str) -> MetricHead:
    """The head of what was found by a name.

    Raises:
        UsageError: it has none.
    """
    head = getattr(found, "head", None)
    if not isinstance(head, MetricHead):
        raise UsageError(
            f"metric {name}: a {type(found).__name__} without `head = MetricHead(…)` is no metric"
        )
    return head
