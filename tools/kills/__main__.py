"""Kills work at random moments: `python -m tools.kills [--kills 200] [--seed 0] [--state FILE] [--page]`.

Each piece of work is begun, killed by SIGKILL, SIGTERM or SIGINT, gone on with and killed again, until it
comes to its end: what it has come to has to be what it comes to at a stroke. Prints a table. With a state an
interrupted campaign goes on; `--page` puts the figures into docs/reliability.md. Exit
status: 1 if any was not.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from random import Random

import torch

from stability.files import write_whole
from stability.models import load_model
from stability.suite import ModelSpec
from tools.kills.lives import reference, series
from tools.kills.table import on_page, read, table, written
from tools.kills.work import all_work


def main() -> int:
    """Exit status: 0, or 1 with what was found on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tools.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    found = [] if given.state is None else read(given.state)
    work = all_work(load_model(ModelSpec()))
    weights = sum(one.weight for one in work)
    for one in work:
        share = -(-given.kills * one.weight // weights)
        mine = [each for each in found if (each.kind, each.name) == (one.kind, one.name)]
        if sum(each.total for each in mine) >= share:
            continue
        expected, seconds = reference(one)
        while sum(each.total for each in mine) < share:
            mine.append(
                series(one, expected, seconds, Random(f"{given.seed}/{one.kind}/{one.name}/{len(mine)}"))
            )
            found.append(mine[-1])
            sys.stderr.write(f"{one.kind} {one.name}: {mine[-1].total} kills {mine[-1].problem}\n")
            if given.state is not None:
                given.state.parent.mkdir(parents=True, exist_ok=True)
                write_whole(given.state, written(found), mode=0o644)
    if given.page:
        on_page(found)
    sys.stdout.write(table(found))
    return 1 if any(one.problem for one in found) else 0


if __name__ == "__main__":
    sys.exit(main())
