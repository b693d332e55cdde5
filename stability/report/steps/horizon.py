"""The stability horizon as text: for each editor the median and worst over seeds, then each seed."""

from __future__ import annotations

from collections.abc import Mapping
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
        rows = [
            ("median", _edits(editor, "median"), _share(editor["median_per_key_dimension"]), ""),
            ("worst", _edits(editor, "worst"), _share(editor["worst_per_key_dimension"]), ""),
            *(
                (f"seed {seed['seed']}", _seed_edits(seed), _share(seed["per_key_dimension"]), _end(seed))
                for seed in editor["seeds"]
            ),
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)]
            text.append(GAP + GAP.join([*cells, row[3]]).rstrip() + "\n")
        text.append("\n" + GAP + _work(editor["seeds"], every=content["every"]) + "\n")
    for check, why in content["left_out"].items():
        text.append(f"{GAP}{check} was not asked: {why}\n", style="yellow")
    return text


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
