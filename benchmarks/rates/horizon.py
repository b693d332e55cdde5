"""The stability horizon, searched for on documents of known truth: how often what it shows is wrong."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.rates.answers import Choices, Fate
from benchmarks.rates.records import BOUNDS, record, suite, task_names
from benchmarks.rates.results import said
from benchmarks.rates.rows import of_row, rows_of, write_rows
from stability.run.horizon.bounds import HorizonBounds, Predicate, Search
from stability.run.horizon.point import Answer, PointSuite

FILE = Path(__file__).with_name("horizon.csv")
EDITS = 100
FLIPS = 0.2
DROPS = {
    ".03 throughout": (0.03, 0.0),
    ".05 throughout": (0.05, 0.0),
    "rising, .05 at 50": (0.0, 0.001),
}  # at first, and more for each edit


@dataclass(frozen=True)
class HorizonCell:
    """The tasks' drop, their number and documents, and the correlation between numbers of edits."""

    drop: str
    how: Literal["bisected", "every"]
    tasks: int = 4
    correlation: float = 0.9
    n: int = 200

    def drop_at(self, edits: int) -> float:
        """The true one."""
        first, more = DROPS[self.drop]
        return first + more * edits

    @property
    def truth(self) -> int:
        """The true horizon."""
        return max(edits for edits in range(EDITS + 1) if self.drop_at(edits) <= 1e-12 - BOUNDS["absolute"])

    @property
    def trials(self) -> int:
        """At full size."""
        return 200 if self.how == "bisected" else 40


@dataclass(frozen=True)
class Found:
    """Of `trials`, how many were shown to fail too early, or to hold too long; and what was found.

    The estimate's tenth, median and ninth decile; the medians of its ends (`EDITS` where there is none).
    """

    trials: int
    early: int
    late: int
    tenth: int
    median: int
    ninetieth: int
    at_least: int
    at_most: int


def horizon_cells() -> Iterator[HorizonCell]:
    """All of them."""
    for drop in DROPS:
        yield HorizonCell(drop, "bisected")
    yield HorizonCell("rising, .05 at 50", "bisected", correlation=0.99)
    for drop in (".05 throughout", "rising, .05 at 50"):
        yield HorizonCell(drop, "every")
    for n in (100, 1000, 5000):
        yield HorizonCell("rising, .05 at 50", "bisected", tasks=1, n=n)


def searched(cell: HorizonCell, trials: int) -> Found:
    """The cell's own random numbers, so that cells may be run in any order."""
    rng = np.random.default_rng([zlib.crc32(repr(cell).encode())])
    found = [search(cell, rng) for _ in range(trials)]
    tenth, median, ninetieth = np.quantile([one.held for one in found], (0.1, 0.5, 0.9), method="nearest")
    return Found(
        trials,
        sum(one.fails is not None and one.fails <= cell.truth for one in found),
        sum(one.shown > cell.truth for one in found),
        int(tenth),
        int(median),
        int(ninetieth),
        int(np.median([one.shown for one in found])),
        int(np.median([EDITS if one.fails is None else one.fails - 1 for one in found])),
    )


def search(cell: HorizonCell, rng: np.random.Generator) -> HorizonBounds:
    """One search: models that do not exist answer wherever it asks."""
    population = Choices()
    names = task_names(cell.tasks)
    before = {name: population.draw(rng, cell.n) for name in names}
    fates = {name: Fate.draw(rng, cell.n, EDITS, cell.correlation) for name in names}
    point = PointSuite.of(suite(before))

    def ask(edits: int, _: Predicate) -> Answer:
        now = {
            name: population.edited(before[name], fates[name][edits - 1], FLIPS, cell.drop_at(edits))
            for name in names
        }
        made = record(before, [[now]])
        return point.one_of(EDITS, made, made.runs[0])

    asking = Search(ask, range(1, EDITS + 1))
    return asking.every() if cell.how == "every" else asking.bisect((EDITS,))


def read(path: Path = FILE) -> dict[HorizonCell, Found]:
    """What has been found so far."""
    return {of_row(HorizonCell, row): of_row(Found, row) for row in rows_of(path)}


def write(results: dict[HorizonCell, Found], path: Path = FILE) -> None:
    """All that was found, in the order of the cells."""
    write_rows(path, {cell: results[cell] for cell in horizon_cells() if cell in results})


def line(cell: HorizonCell, found: Found) -> str:
    """A cell for the terminal."""
    return "  ".join(["horizon", *row(cell, found)])


def table(results: dict[HorizonCell, Found]) -> str:
    """Markdown."""
    head = [
        "true drop", "tasks", "documents", "ρ", "searched", "too early", "too late",
        "estimate: median (10 % to 90 %)", "at least, at most (medians)",
    ]  # fmt: skip
    lines = [head, ["---"] * len(head), *(row(cell, found) for cell, found in results.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def row(cell: HorizonCell, found: Found) -> list[str]:
    """The cell's line of the table; rates in per cent."""
    return [
        cell.drop,
        str(cell.tasks),
        f"{cell.n:,}",
        f"{cell.correlation:g}",
        cell.how,
        said(found.early, found.trials),
        said(found.late, found.trials) if cell.truth < EDITS else "",
        f"{found.median} ({found.tenth} to {found.ninetieth})",
        f"{found.at_least}, {found.at_most}",
    ]
