"""Finding a metric by name: built in, installed by another package, importable, or in a file."""

from __future__ import annotations

import inspect

from stability.errors import UsageError
from stability.imports import import_named
from stability.metrics.plugin.metric import Metric
from stability.parts import METRICS, MetricHead
from stability.suite import SuiteFile, SuiteSpec
from stability.suite.judgeable import Around, Mistake, mistakes
from stability.suite.loader import refuse
from stability.suite.metrics import head_in, head_of, installed


def find_metric(name: str) -> type[Metric]:
    """The metric that a check's `metric` names.

    Raises:
        UsageError: there is none, importing it failed, or what was found is no metric that a run measures.
    """
    if name in METRICS.built_in():
        found = METRICS.built_in()[name].made
    else:
        imported = import_named(name, "metric", "", UsageError)
        found = installed(name) if imported is None else imported[0]
    head = head_in(found, name)
    if not (inspect.isclass(found) and issubclass(found, Metric)) or head.measured != "run":
        raise UsageError(
            f"metric {name}: no run measures it; a metric is a class with a head and "
            "measure(self, context), derived from stability.metrics.Metric"
        )
    return found


def metrics_of(suite: SuiteSpec) -> dict[str, type[Metric]]:
    """What a run of a suite may measure, by name: what is built in, and what it names besides.

    Raises:
        UsageError: one of the latter cannot be found.
    """
    found: dict[str, type[Metric]] = {
        name: part.made for name, part in METRICS.built_in().items() if part.head.measured == "run"
    }
    for name in sorted(suite.metric_names - METRICS.built_in().keys()):
        found[name] = find_metric(name)
    return found


def refuse_unjudgeable(suite: SuiteFile, *, is_run: bool = False) -> None:
    """Read the heads of all metrics that a suite names, and refuse checks that could never be judged by them.

    That is done before anything is edited, and imports what the suite names by path or dotted name. `is_run`:
    an editor is to be run, whether the suite names it or not.

    Raises:
        SuiteError: with one line for each mistake.
    """
    found: list[Mistake] = []
    heads: dict[str, MetricHead] = {}
    for name, check in suite.spec.checks.items():
        try:
            heads[check.metric] = head_of(check.metric) or find_metric(check.metric).head
        except UsageError as error:
            found.append((("checks", name, "metric"), str(error)))
    for index, name in enumerate(suite.spec.record):
        try:
            if name != "all":
                find_metric(name)
        except UsageError as error:
            found.append((("record", index), str(error)))
    around = Around(is_run=is_run, may_change=suite.spec.may_change)
    refuse(suite.path, suite.lines, [*found, *mistakes(suite.spec.checks, heads, around)])


def heads_of(suite: SuiteSpec) -> dict[str, MetricHead]:
    """The heads of all that is built in, and of what a suite names besides, which is imported.

    Raises:
        UsageError: one of the latter cannot be found.
    """
    named = suite.metric_names - METRICS.built_in().keys()
    heads = {name: part.head for name, part in METRICS.built_in().items()}
    return dict(sorted({**heads, **{name: find_metric(name).head for name in named}}.items()))
