"""The figures of a campaign, as a table and on the page that shows the last full one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from tools.fuzz.campaign import Campaign, Tally
from tools.fuzz.reader import ROOT

DATA = ROOT / "docs" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- fuzz -->\n", "<!-- /fuzz -->\n"
HEAD = (
    "| reader | inputs | past the first parse | read | refused in one line | unclear | tracebacks | hangs |\n"
)


def table(tallies: Mapping[str, Tally]) -> str:
    """A row for each reader and their sum, in Markdown."""
    lines = [HEAD, "|---|---:|---:|---:|---:|---:|---:|---:|\n"]
    lines += [_row(name, tally) for name, tally in tallies.items()]
    lines.append(_row("all", total(tallies)))
    return "".join(lines)


def total(tallies: Mapping[str, Tally]) -> Tally:
    """The sum of all."""
    found = Tally()
    for tally in tallies.values():
        found.tried += tally.tried
        found.parsed += tally.parsed
        for outcome, count in tally.outcomes.items():
            found.outcomes[outcome] = found.outcomes.get(outcome, 0) + count
    return found


def problems(tallies: Mapping[str, Tally]) -> list[str]:
    """What was found, a line each."""
    return [f"{name}: {problem}" for name, tally in tallies.items() for problem in tally.problems]


def on_page(campaign: Campaign) -> None:
    """Keep the figures, and put the table on the page."""
    DATA.write_text(json.dumps(campaign.as_dict(), indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), campaign.tallies), encoding="utf-8")


def with_table(page: str, tallies: Mapping[str, Tally]) -> str:
    """The page with this table in place of the one in it."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{table(tallies)}{END}{rest.partition(END)[2]}"


def _row(name: str, tally: Tally) -> str:
    cells: Iterator[object] = iter(
        (
            name,
            f"{tally.tried:,}",
            f"{tally.parsed / max(1, tally.tried):.0%}",
            *(f"{tally.outcomes.get(outcome, 0):,}" for outcome in _SHOWN),
        )
    )
    return "| " + " | ".join(map(str, cells)) + " |\n"


_SHOWN = ("read", "refused", "unclear", "traceback", "hang")
