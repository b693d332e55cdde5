"""The stability horizon as text: for each editor the median and worst over seeds, then each seed.

Where a test for noise leaves the number open, the numbers between which it was shown to be stand beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from stability.report.steps import wording

GAP = "  "


def horizon_text(content: Mapping[str, Any]) -> Text:
    """The content of horizon.json, for a terminal."""
    text = Text()
    for editor in content["editors"]:
        name = wording.clean(editor["editor"])
        asked = f"{content['asked']} edits asked for"
        text.append(f"{content['suite']} · {name} on {content['model']} · {asked}\n\n", style="bold")
        for row in _rows(editor):
            text.append(GAP + row.rstrip() + "\n")
        text.append("\n" + GAP + _work(editor["seeds"], every=content["every"]) + "\n")
        if _is_open(editor):
            paid = f"tested for noise at a level that pays for {content['looks']} numbers of edits"
            text.append(f"{GAP}[at least, at most] is what the documents show, {paid}\n")
    for check, why in content["left_out"].items():
        text.append(f"{GAP}{check} was not asked: {why}\n", style="yellow")
    return text


def _rows(editor: Mapping[str, Any]) -> list[str]:
    """The table's lines; a column of what is shown only where noise leaves something open."""
    is_open = _is_open(editor)
    rows: list[tuple[str, str, Sequence[int | None], float | None, str]] = [
        (which, _edits(editor, which), editor[f"{which}_at"], editor[f"{which}_per_key_dimension"], "")
        for which in ("median", "worst")
    ]
    for seed in editor["seeds"]:
        ends, share = (seed["at_least"], seed["at_most"]), seed["per_key_dimension"]
        rows.append((f"seed {seed['seed']}", _seed_edits(seed), ends, share, _end(seed)))
    cells = [
        [name, edits, *([_between(ends)] if is_open else []), _share(share), end]
        for name, edits, ends, share, end in rows
    ]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)]
    lines = [
        GAP.join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]])
        for row in cells
    ]
    if editor["orders"]:
        sure = f"{100 * editor['orders_confidence']:.0f} %"
        lines.append(f"{_between(editor['orders'])} the median of all orders of edits, at {sure}")
    return lines


def _is_open(editor: Mapping[str, Any]) -> bool:
    """Whether noise leaves any seed's number open."""
    ends = [(seed["at_least"], seed["edits"], seed["at_most"]) for seed in editor["seeds"]]
    return any(least != edits or (most is not None and most != edits) for least, edits, most in ends) or any(
        seed["failed_at"] is not None and seed["at_most"] is None for seed in editor["seeds"]
    )


def _between(ends: Sequence[int | None]) -> str:
    return f"[{ends[0]}, {'...' if ends[1] is None else ends[1]}]"


def _edits(editor: Mapping[str, Any], which: str) -> str:
    """The number of edits, with `at least` if it is from a seed that held to the end."""
    number = editor[which]
    open_end = any(seed["edits"] == number and seed["failed_at"] is None for seed in editor["seeds"])
    return f"at least {number}" if open_end else str(number)


def _seed_edits(seed: Mapping[str, Any]) -> str:
    return f"at least {seed['edits']}" if seed["failed_at"] is None else str(seed["edits"])


def _share(value: float | None) -> str:
    return "" if value is None else f"N/d_k {value:.3g}"


def _end(seed: Mapping[str, Any]) -> str:
    if seed["failed_at"] is None:
        return wording.clean(f"stopped: {seed['error']}") if seed["error"] else "held throughout"
    return wording.clean(f"failed at {seed['failed_at']}: {'; '.join(seed['reasons'])}")


def _work(seeds: list[Mapping[str, Any]], *, every: bool) -> str:
    measurements = sum(seed["measurements"] for seed in seeds)
    made = sum(seed["edits_made"] for seed in seeds)
    again = sum(seed["edits_repeated"] for seed in seeds)
    how = "after every batch" if every else "bisected"
    return f"{how}: {measurements} measurements, {made} edits ({again} of them again)"
