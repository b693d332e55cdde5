"""What grows with a run, a suite and a record, and how: `python -m benchmarks.load [--page]`.

    python -m benchmarks.load [--edits 10000] [--checkpoints 20] [--checks 1000] [--editors 100] [--page]

One run of many edits of a small real model by a cheap editor, in a process of its own: its memory, time an
edit and files, in its first quarter against its last. A suite of many checks and a record of many editors: by
which power of their number the calls grow that each stage makes. All figures are ratios or counts, which do
not depend on the machine. `--page` puts them into docs/reliability.md. Exit status: 1 if a limit is passed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.load.growth import with_checks, with_editors
from benchmarks.load.long_run import long_run
from benchmarks.load.table import on_page, past, rows_of, table


def main() -> int:
    """Exit status: 0, or 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("edits", 10_000), ("checkpoints", 20), ("checks", 1_000), ("editors", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--page", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="load-") as folder:
        run = long_run(given.edits, given.checkpoints, Path(folder))
    checks = with_checks(given.checks // 10, given.checks)
    editors = with_editors(given.editors // 10, given.editors)
    rows = rows_of(run, checks, editors)
    if given.page:
        on_page(rows)
    sys.stdout.write(table(rows))
    wrong = past(rows)
    sys.stderr.write("".join(f"{row.what}: {row.found:.3f} is more than {row.limit}\n" for row in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
