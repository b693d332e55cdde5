"""`stability editors`."""

from __future__ import annotations

from stability.cli.steps.command import command
from stability.cli.steps.output import console


@command("editors", place=11)
def editors() -> None:
    """List the editors that can be called by name, with their settings and presets."""
    from rich.markup import escape
    from rich.table import Table

    from stability.editors import list_editors

    table = Table(box=None, pad_edge=False, show_header=False)
    for entry in list_editors():
        table.add_row(f"[bold]{entry.name}[/bold]", escape(entry.summary))
        if entry.source != "built-in":
            table.add_row("", f"[dim]{escape(entry.source)}[/dim]")
        if entry.settings:
            table.add_row("", f"[dim]{escape('  '.join(entry.settings))}[/dim]")
        if entry.models:
            table.add_row("", f"[dim]presets: {escape(', '.join(entry.models))}[/dim]")
    console().print(table)
