"""What was found, as a file beside this one, and as the tables of docs/statistics.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from benchmarks.rates.cells import STATED, Cell, cells
from benchmarks.rates.counted import EXACT, Counted
from benchmarks.rates.rows import of_row, rows_of, write_rows

FILE = Path(__file__).with_name("results.csv")
END = "<!-- end -->"
Results = dict[Cell, Counted]


def read(path: Path = FILE) -> Results:
    """What has been found so far."""
    return {of_row(Cell, row): of_row(Counted, row) for row in rows_of(path)}


def write(results: Results, path: Path = FILE) -> None:
    """All that was found, in the order of the cells; what is no cell any more is left out."""
    write_rows(path, {cell: results[cell] for cell in cells() if cell in results})


def share(seen: int, of: int) -> tuple[float, float]:
    """A rate, and two standard errors of it, by Wilson's centre so that a rate of 0 has one."""
    centre = (seen + 2) / (of + 4)
    return seen / of, 2 * math.sqrt(centre * (1 - centre) / (of + 4))


def said(seen: int, of: int) -> str:
    """`4.8 ± 0.7`, in per cent."""
    rate, error = share(seen, of)
    return f"{100 * rate:.1f}" if of == EXACT else f"{100 * rate:.1f} ± {100 * error:.1f}"


def line(cell: Cell, counted: Counted) -> str:
    """A cell for the terminal."""
    what = "  ".join(f"{key} {value}" for key, value in asdict(cell).items() if key != "claim")
    if not counted.judged:
        return f"{STATED[cell.claim]}  {what}  refused"
    refused = "" if counted.judged == counted.trials else f"  ({counted.judged} of {counted.trials} judged)"
    return f"{STATED[cell.claim]}  {what}  {said(counted.seen, counted.judged)} %{refused}"


def tables(results: Results) -> str:
    """Markdown: for each claim a table with a column for each number of documents, rates in per cent."""
    parts = []
    for claim, stated in STATED.items():
        mine = {cell: results[cell] for cell in cells() if cell in results and cell.claim == claim}
        if mine:
            parts.append(f"**{stated[0].upper()}{stated[1:]}**\n\n{table(mine, 'seen')}")
    covered = {
        cell: counted
        for cell, counted in results.items()
        if cell.claim == "fails" and cell.tests == 1 and counted.trials != EXACT
    }
    if covered:
        parts.append(f"**The lower limit lies below the true change: 95 %**\n\n{table(covered, 'covered')}")
    return "\n\n".join(parts) + "\n"


def table(results: Mapping[Cell, Counted], what: str) -> str:
    """One row for what is the same but for the number of documents."""
    columns = sorted({cell.n for cell in results})
    rows: dict[tuple[str, ...], dict[int, str]] = {}
    for cell, counted in results.items():
        against = cell.data if cell.against == "base" else f"{cell.data}, against `previous`"
        against += "" if cell.change == "absolute" else f", {cell.change}"
        together = "" if cell.tests == 1 else f", ρ {cell.correlation:g}"
        flips = f"{100 * cell.flips:.0f} %"
        rows.setdefault((against, flips, f"{cell.tests}{together}"), {})[cell.n] = entry(counted, what)
    head = ["data", "flips", "tests", *(f"{n:,}" for n in columns)]
    lines = [head, ["---"] * len(head)]
    lines += [[*row, *(found.get(n, "") for n in columns)] for row, found in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def entry(counted: Counted, what: str) -> str:
    """`refused`, or the rate among those that were judged, with the share of refusals if there is any."""
    refused = 1 - counted.judged / counted.trials
    if refused > 0.5:
        return "refused"
    found = said(getattr(counted, what), counted.judged)
    return found if refused < 0.005 else f"{found} ({100 * refused:.0f} % refused)"


def page_with(page: str, file: Path, found: str) -> str:
    """The page, with the tables of a file between its two marks."""
    begin = f"<!-- from {file.name} -->"
    before, rest = page.split(begin)
    _, after = rest.split(END, 1)
    return f"{before}{begin}\n\n{found}\n{END}{after}"
