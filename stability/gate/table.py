"""The tensors that a gate found changed, with their figures, as a table for a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from stability.record import Checkpoint, Record
from stability.report.steps.wording import clean, number

MOST = 12  # rows


def changes_text(record: Record) -> RenderableType | None:
    """A row for each changed tensor, those that moved farthest first; None if none did."""
    (run,) = record.runs
    checkpoint = run.checkpoints[-1]
    delta = _values(checkpoint, "delta_norm")
    changed = sorted((name for name in run.edited if name in delta), key=lambda name: (-delta[name], name))
    if not changed:
        return None
    table = Table("tensor", box=None, pad_edge=False)
    for title in ("‖W‖", "‖W'‖", "‖W'‖/‖W‖", "‖ΔW‖", "rank ΔW", "elements changed"):
        table.add_column(title, justify="right", no_wrap=True)
    base, edited = _values(record.base, "weight_norm"), _values(checkpoint, "weight_norm")
    ranks, counts = _values(checkpoint, "delta_rank"), _values(checkpoint, "frozen_weights")
    for name in changed[:MOST]:
        before, now = base[name], edited[name]
        table.add_row(
            escape(clean(name)),
            number(before, digits=5),
            number(now, digits=5),
            number(now / before, digits=4) if before else "",
            number(delta[name] * before, digits=4) if before else "",
            number(ranks[name]) if name in ranks else "",
            f"{counts[name]:,.0f}",
        )
    if len(changed) > MOST:
        table.add_row(f"and {len(changed) - MOST} more, in run.json", *[""] * 6)
    return table


def _values(checkpoint: Checkpoint, metric: str) -> dict[str, float]:
    reading = checkpoint.readings.get(metric)
    return reading.values if reading else {}
