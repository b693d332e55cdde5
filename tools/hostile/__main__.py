"""Runs every hostile editor before a sound one: `python -m tools.hostile [--state FILE] [--page] [NAME …]`.

Prints a table of what was tried and what came of it. With a state, an interrupted campaign goes on.
`--page` puts the figures into docs/reliability.md. Exit status: 1 if anything was found.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from stability.files import write_whole
from tools.hostile.acts import ACTS
from tools.hostile.table import on_page, table
from tools.hostile.trial import Arena, Trial


def main() -> int:
    """Exit status: 0, or 1 with what was found on stderr."""
    parser = argparse.ArgumentParser(prog="python -m tools.hostile", description=__doc__)
    parser.add_argument("names", nargs="*", help="those whose names begin so")
    parser.add_argument("--state", type=Path)
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    trials = _read(given.state)
    wanted = [name for name in ACTS if not given.names or name.startswith(tuple(given.names))]
    with TemporaryDirectory(prefix="hostile-") as folder:
        arena = Arena(Path(folder))
        for name in wanted:
            if name in trials and not trials[name].problem:
                continue
            trials[name] = arena.trial(name)
            sys.stderr.write(f"{name}: {trials[name].outcome}\n")
            if given.state is not None:
                given.state.parent.mkdir(parents=True, exist_ok=True)
                content = [asdict(trial) for trial in trials.values()]
                write_whole(given.state, json.dumps(content, indent=1) + "\n", mode=0o644)
    tried = [trials[name] for name in ACTS if name in trials]
    if given.page:
        on_page(tried)
    sys.stdout.write(table(tried))
    found = [trial for trial in tried if trial.problem]
    sys.stderr.write("".join(f"{trial.act}: {trial.problem}\n" for trial in found))
    return 1 if found else 0


def _read(state: Path | None) -> dict[str, Trial]:
    if state is None or not state.exists():
        return {}
    return {one["act"]: Trial(**one) for one in json.loads(state.read_text(encoding="utf-8"))}


if __name__ == "__main__":
    sys.exit(main())
