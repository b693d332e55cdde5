"""The judge's rates, simulated through its public path: synthetic records in, verdicts out.

    python -m benchmarks.rates [--quick] [--only TEXT] [--again] [--tables]

Prints each cell as it is done, with two standard errors, and keeps it in benchmarks/rates/results.csv, so
that a run that was stopped goes on where it was: an hour and a half at full size, on one thread. `--only`
takes the cells in which a text occurs, such as "F1" or "tests=75"; `--again` drops what is there of them
first. `--tables` writes the tables of docs/statistics.md from the file. `--quick` is a minute, and keeps
nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from benchmarks.rates import horizon, results
from benchmarks.rates.cells import QUICK, Cell, cells
from benchmarks.rates.counted import Counted
from benchmarks.rates.trials import simulate

PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"
QUICK_TRIALS = 200
PARTS = (0.2, 0.5, 1.0)  # every cell has the first part of its trials before any has more


def main() -> None:
    """Run, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--tables", action="store_true")
    asked = parser.parse_args()
    if asked.tables:
        PAGE.write_text(page_as_found(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
        return
    if asked.quick:
        for cell in QUICK:
            say(results.line(cell, simulate(cell, QUICK_TRIALS)))
        return
    if asked.again:
        results.write(
            {cell: counted for cell, counted in results.read().items() if asked.only not in repr(cell)}
        )
        horizon.write({cell: found for cell, found in horizon.read().items() if asked.only not in repr(cell)})
    for part in PARTS:
        for cell in cells():
            if asked.only in repr(cell):
                go_on(cell, round(part * cell.trials))
    for one in horizon.horizon_cells():
        if asked.only in repr(one) and one not in horizon.read():
            found = horizon.searched(one, one.trials)
            horizon.write({**horizon.read(), one: found})
            say(horizon.line(one, found))


def go_on(cell: Cell, trials: int) -> None:
    """So many trials in all, of which some may have been made before."""
    before = results.read().get(cell, Counted())
    if before.trials < trials:
        counted = before + simulate(cell, trials - before.trials, before.trials)
        results.write({**results.read(), cell: counted})
        say(results.line(cell, counted))


def page_as_found(page: str) -> str:
    """docs/statistics.md, with the tables of both files."""
    page = results.page_with(page, results.FILE, results.tables(results.read()))
    return results.page_with(page, horizon.FILE, horizon.table(horizon.read()))


def say(line: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
