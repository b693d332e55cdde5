"""`stability metrics`."""

from __future__ import annotations

from stability.cli.steps.command import command


@command("metrics", place=12)
def metrics() -> None:
    """List the metrics that a check can ask for."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from stability.errors import UsageError
    from stability.parts import METRICS, MetricHead, origin
    from stability.suite.metrics import head_of

    table = Table("metric", "a value for each", "unit", "what it measures", box=None, pad_edge=False)

    def add(name: str, head: MetricHead) -> None:
        over = "run" if head.over == "scalar" else head.over
        table.add_row(name, over, escape(head.unit), escape(head.summary))

    heads = [(name, part.head) for name, part in METRICS.built_in().items()]
    for name, head in sorted(heads, key=lambda item: item[1].measured != "run"):
        add(name, head)
    for name, point in sorted(METRICS.points().items()):
        try:
            if (head_of_point := head_of(name)) is not None:
                add(name, head_of_point)
        except UsageError as error:
            table.add_row(name, "", "", escape(str(error)))
        table.add_row("", "", "", f"[dim]{escape(origin(point))}[/dim]")
    Console().print(table)
