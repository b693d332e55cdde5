"""Fuzzes every reader: `python -m tools.fuzz [--inputs 100000] [--commands 500] [--state FILE] [--page]`.

Prints a table of what was tried and what came of it. With a state, an interrupted campaign goes on.
`--page` puts the figures into docs/reliability.md. Exit status: 1 if anything was found.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import torch

from tools.fuzz.campaign import Campaign, shares
from tools.fuzz.commands import NAME, run_commands
from tools.fuzz.readers import READERS
from tools.fuzz.table import on_page, problems, table


def main() -> int:
    """Exit status: 0, or 1 with what was found on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--commands", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    campaign = Campaign(given.state, given.seed)
    campaign.run(READERS, shares(READERS, given.inputs))
    run_commands(campaign.tally(NAME), given.commands, given.seed, campaign.save)
    if given.page:
        on_page(campaign)
    sys.stdout.write(table(campaign.tallies))
    found = problems(campaign.tallies)
    sys.stderr.write("".join(f"{line}\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
