"""The metrics, as their heads have them: nothing heavy is imported."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from sources import code, prose, table

from stability.errors import UsageError
from stability.parts import METRICS, MetricHead, origin
from stability.suite.metrics import head_in, installed

COLUMNS = ("metric", "a value for each", "unit", "what it measures")


@dataclass(frozen=True)
class Listed:
    """A metric that a plain name finds, and where it comes from if it is not built in."""

    name: str
    head: MetricHead
    doc: str
    source: str = ""

    def row(self) -> tuple[str, str, str, str]:
        """Its row of a table."""
        over = "run" if self.head.over == "scalar" else self.head.over
        said = "; ".join(filter(None, (prose(self.head.summary), self.source)))
        return code(self.name), over, self.head.unit, said


def metric_page() -> str:
    """Every metric: what it measures, and what it has a value for."""
    every = [*_built_in(), *_of_other_packages()]
    rows = {
        measured: [one.row() for one in every if one.head.measured == measured]
        for measured in ("run", "clock", "gate")
    }
    parts = [
        "# Metrics",
        "What a check's `metric` may be; `stability metrics` lists the same. How each is computed, and the "
        "choices behind it, is in [what each figure is](definitions.md); how to add one, in "
        "[your own metric](own-metric.md).",
        table(COLUMNS, rows["run"]),
        "## Time and memory",
        "No property of the edits, so no two runs agree on them; a check may bound them nonetheless.",
        table(COLUMNS, rows["clock"]),
        "## Of two checkpoints on disk",
        "Measured by [`stability gate`](gate.md) only.",
        table(COLUMNS, rows["gate"]),
        "## Each in a sentence or two",
        *(f"**`{one.name}`**. {prose(one.doc)}" for one in every),
    ]
    return "\n\n".join(parts) + "\n"


def _built_in() -> Iterator[Listed]:
    for name, part in METRICS.built_in().items():
        yield Listed(name, part.head, inspect.getdoc(part.made) or "")


def _of_other_packages() -> Iterator[Listed]:
    for name, point in METRICS.points().items():
        try:
            found = installed(name)
            yield Listed(name, head_in(found, name), inspect.getdoc(found) or "", origin(point))
        except UsageError:  # the page is of what can be used
            continue
