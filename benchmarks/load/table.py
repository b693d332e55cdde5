"""The figures of large loads, and the page that shows them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.load.growth import Growth
from benchmarks.load.long_run import LongRun
from benchmarks.load.work import exponent

ROOT = Path(__file__).parents[2]
DATA = ROOT / "docs" / "load.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- load -->\n", "<!-- /load -->\n"
FLAT_TIME, FLAT_MEMORY = 1.2, 1.05  # of the last quarter of a run, over its first
LINEAR = 1.15  # power of the size


@dataclass(frozen=True)
class Row:
    """A figure, and the most that it may be."""

    load: str
    what: str
    found: float
    limit: float


def rows_of(run: LongRun, checks: Growth, editors: Growth) -> list[Row]:
    """A row for each figure that has a limit."""
    load = f"{run.edits:,} edits, {run.checkpoints} checkpoints"
    rows = [
        Row(load, "seconds an edit, last quarter over first", _ratio(run.seconds), FLAT_TIME),
        Row(load, "memory of the run, last quarter over first", _ratio(run.run_mib), FLAT_MEMORY),
        Row(
            load,
            "memory of what keeps the record, last quarter over first",
            _ratio(run.record_mib),
            FLAT_MEMORY,
        ),
        Row(load, "KiB of files an edit", run.bytes_an_edit / 1024, 4.0),
    ]
    for kind, growth in (("checks", checks), ("editors", editors)):
        for stage, counts in growth.items():
            if kind == "editors" and stage == "reading the suite":
                continue
            load = f"{max(counts):,} {kind}"
            rows.append(Row(load, f"{stage}: power of their number", exponent(counts), LINEAR))
    return rows


def _ratio(quarters: tuple[float, float]) -> float:
    return quarters[1] / quarters[0]


def past(rows: Iterable[Row]) -> list[Row]:
    """The rows whose limit is passed."""
    return [row for row in rows if row.found > row.limit]


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown."""
    lines = ["| load | figure | found | at most |\n", "|---|---|---:|---:|\n"]
    lines += [f"| {row.load} | {row.what} | {row.found:.2f} | {row.limit:.2f} |\n" for row in rows]
    return "".join(lines)


def with_table(page: str, rows: Sequence[Row]) -> str:
    """The page with this table in place of the one in it."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{table(rows)}{END}{rest.partition(END)[2]}"


def read() -> list[Row]:
    """The figures that are kept."""
    return [Row(**row) for row in json.loads(DATA.read_text(encoding="utf-8"))]


def on_page(rows: Sequence[Row]) -> None:
    """Keep the figures, and put the table on the page."""
    DATA.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
