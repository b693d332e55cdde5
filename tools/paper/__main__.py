"""The paper's experiments on smollm2: `python -m tools.paper [run [--out FOLDER] [--only b-sequential]]`.

Without a word it lists the steps, in the order in which they are run, with the time that each takes. `run`
runs those that are not done, each into a folder of its own; it can be ended at any time, and goes on where it
was. `twin EXPERIMENT MODEL` prints an experiment's suite for one of the paper's models.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from stability.record import read_record
from tools.paper.plan import Step, steps
from tools.paper.twins import EXPERIMENTS, ROOT, models, twin

OUT = ROOT / "reports" / "smollm2"


def main() -> int:
    """Exit status: 0, 130 where a step was ended, or 3 where one could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tools.paper", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    run = commands.add_parser("run", help="run what is not done")
    run.add_argument("--out", type=Path, default=OUT)
    run.add_argument("--only", choices=EXPERIMENTS)
    one = commands.add_parser("twin", help="print an experiment's suite for a model of the paper")
    one.add_argument("experiment", choices=EXPERIMENTS)
    one.add_argument("model", choices=sorted(models()))
    given = parser.parse_args()
    if given.command == "twin":
        sys.stdout.write(twin(given.experiment, given.model))
        return 0
    if given.command == "run":
        return run_all([step for step in steps() if given.only in (None, step.experiment)], given.out)
    sys.stdout.write(listing(steps()))
    return 0


def run_all(todo: list[Step], out: Path) -> int:
    """Each step by a `stability` of its own, until one is ended or cannot be measured."""
    for number, step in enumerate(todo, start=1):
        if is_done(out / step.name):
            continue
        left = sum(other.seconds for other in todo[number - 1 :] if not is_done(out / other.name))
        sys.stderr.write(
            f"{number} of {len(todo)}: {step.name}, about {hours(step.seconds)}; {hours(left)} left\n"
        )
        status = subprocess.run(
            [sys.executable, "-m", "stability", *step.command(out)], check=False
        ).returncode
        if status not in (0, 1):  # held, or failed: measured either way
            return status
    return 0


def is_done(folder: Path) -> bool:
    """Whether its record is whole."""
    file = folder / "run.json"
    return file.is_file() and not read_record(file).under_way


def listing(found: list[Step]) -> str:
    """A line a step, and the sum."""
    lines = [f"{hours(step.seconds):>8}  {step.name}, {step.edits} edits" for step in found]
    total = hours(sum(step.seconds for step in found))
    return "\n".join([*lines, f"{total:>8}  in all, on one core, without tasks"]) + "\n"


def hours(seconds: float) -> str:
    """`0.8 h`."""
    return f"{seconds / 3600:.1f} h"


if __name__ == "__main__":
    sys.exit(main())
