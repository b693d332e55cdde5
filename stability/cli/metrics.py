"""`stability metrics`."""

from __future__ import annotations

from stability.cli.steps.command import command


@command("metrics", place=12)
def metrics() -> None:
    """List the metrics that a check can ask for."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from stability.metrics import METRICS
    from stability.parts import COSTS, GATE

    table = Table("metric", "a value for each", "unit", "what it measures", box=None, pad_edge=False)
    for name, metric in sorted(METRICS.items()):
        over = "run" if metric.over == "scalar" else metric.over
        table.add_row(name, over, metric.unit, escape(metric.summary))
    for name, summary in sorted({**COSTS, **GATE}.items()):
        table.add_row(name, "run", "", escape(summary))
    Console().print(table)
