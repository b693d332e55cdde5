"""Mutation testing: `python -m tools.mutants [--each 110] [--seed 0] [--state FOLDER] [--again] [--page]`.

Tries a sample of the mutants of what judges, of the suite language, of the metrics and of the gate's
comparison, each with the tests that touch its lines. With a state, an interrupted campaign goes on; `--again`
tries survivors once more. `--page` puts the figures into docs/reliability.md. Exit status: 1 if too many
survive, or one of them without a reason.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.mutants.campaign import ROOMS, Campaign, Tried, population, prove, sample
from tools.mutants.cover import record
from tools.mutants.places import Mutant
from tools.mutants.table import LEAST, figures, on_page, share, table, total
from tools.mutants.warm import warm_up

TESTS = ("suite", "judge", "gate", "metrics", "report", "record", "baselines", "api")


def main() -> int:
    """Exit status: 0, or 1 with what is wrong on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__)
    parser.add_argument("--each", type=int, default=110, help="mutants of each room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    with TemporaryDirectory() as temporary:
        return _run(given, given.state or Path(temporary))


def _run(given: argparse.Namespace, state: Path) -> int:
    rooms = {room: sample(room, given.each, given.seed) for room in ROOMS}
    everything = [mutant for chosen in rooms.values() for mutant in chosen]
    warm_up()
    prove()
    cover = record(list(ROOMS.values()), [f"tests/{name}" for name in TESTS], state / "cover.json")
    campaign = Campaign(state / f"tried-{given.seed}.json")
    if given.again:
        campaign.forget(everything)
    campaign.run(everything, cover, _say)
    void = campaign.check_killers(everything)
    content = figures(given.seed, rooms, {room: len(population(room)) for room in ROOMS}, campaign.tried)
    if given.page:
        on_page(content)
    sys.stdout.write(table(content))
    problems = [f"{test} fails without a fault, too" for test in void]
    unexplained = [one["key"] for one in content["survivors"] if not one["reason"]]
    problems += [f"no reason is known why {key} lives" for key in unexplained]
    if share(total(content["rooms"])) < LEAST:
        problems.append(f"fewer than {LEAST:.0%} are killed")
    sys.stderr.write("".join(f"{problem}\n" for problem in problems))
    return 1 if problems else 0


def _say(mutant: Mutant, tried: Tried) -> None:
    where = f"{mutant.file}:{mutant.line}"
    sys.stderr.write(f"{tried.outcome:11} {tried.seconds:5.1f} s  {mutant.key} {where} {mutant.after[:90]}\n")


if __name__ == "__main__":
    sys.exit(main())
