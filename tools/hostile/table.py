"""What came of hostile editors, as a table and on the page that shows the last campaign."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from tools.fuzz.reader import ROOT
from tools.hostile.acts import FAMILIES
from tools.hostile.trial import Trial

DATA = ROOT / "docs" / "hostile.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- hostile -->\n", "<!-- /hostile -->\n"
HEAD = "| hostile editors | tried | what came of their runs | as it has to be, and the next run as alone |\n"


def table(trials: Sequence[Trial]) -> str:
    """A row for each family and their sum, in Markdown."""
    rows = [_row(family.name, _of(family.name, trials)) for family in FAMILIES]
    return "".join([HEAD, "|---|---:|---|---:|\n", *rows, _row("all", trials)])


def on_page(trials: Sequence[Trial]) -> None:
    """Keep the figures, and put the table on the page."""
    DATA.write_text(json.dumps([asdict(trial) for trial in trials], indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), trials), encoding="utf-8")


def with_table(page: str, trials: Sequence[Trial]) -> str:
    """The page with this table in place of the one in it."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{table(trials)}{END}{rest.partition(END)[2]}"


def _of(family: str, trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.act.startswith(f"{family}: ")]


def _row(name: str, trials: Sequence[Trial]) -> str:
    counts = Counter(trial.outcome for trial in trials)
    outcomes = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in counts.most_common())
    good = sum(not trial.problem for trial in trials)
    return f"| {name} | {len(trials)} | {outcomes} | {good} |\n"
