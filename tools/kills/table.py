"""The figures of a campaign of kills, as a table and on the page that shows the last one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tools.kills.lives import SIGNALS, Series

DOCS = Path(__file__).parents[2] / "docs"
DATA = DOCS / "reliability-kills.json"
PAGE = DOCS / "reliability.md"
BEGIN, END = "<!-- kills -->\n", "<!-- /kills -->\n"


def table(found: Sequence[Series]) -> str:
    """A row for each piece of work and their sum, in Markdown."""
    names = [number.name for number in SIGNALS]
    head = (
        f"| killed | editor | times | {' | '.join(names)} | kills | gone on with to an equal result | not |\n"
    )
    lines = [
        head,
        f"|---|---|---:|{'---:|' * (len(names) + 3)}\n",
    ]
    rows = dict.fromkeys((one.kind, one.name) for one in found)
    lines += [_row(*row, [one for one in found if (one.kind, one.name) == row]) for row in rows]
    lines.append(_row("all", "", found))
    return "".join(lines)


def with_table(page: str, found: Sequence[Series]) -> str:
    """The page with this table in place of the one in it."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{table(found)}{END}{rest.partition(END)[2]}"


def read(file: Path) -> list[Series]:
    """The series of a file; none if it is not there."""
    if not file.exists():
        return []
    return [Series(**one) for one in json.loads(file.read_text(encoding="utf-8"))]


def written(found: Sequence[Series]) -> str:
    """The series as JSON, one a line."""
    return "[\n" + ",\n".join(json.dumps(asdict(one)) for one in found) + "\n]\n"


def on_page(found: Sequence[Series]) -> None:
    """Keep the figures, and put the table on the page."""
    DATA.write_text(written(found), encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")


def _row(kind: str, name: str, found: Sequence[Series]) -> str:
    by_signal = [sum(one.kills.get(number.name, 0) for one in found) for number in SIGNALS]
    bad = sum(one.total for one in found if one.problem)
    cells = [kind, name, len(found), *by_signal, sum(by_signal), sum(by_signal) - bad, bad]
    return "| " + " | ".join(map(str, cells)) + " |\n"
