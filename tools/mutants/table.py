"""The figures of a campaign, and the page that shows them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tools.mutants.campaign import Tried
from tools.mutants.places import ROOT, Mutant

DATA = ROOT / "docs" / "mutants.json"
REASONS = ROOT / "tools" / "mutants" / "reasons.json"
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- mutants -->\n", "<!-- /mutants -->\n"
LEAST = 0.9  # the share that has to be killed


def figures(
    seed: int, rooms: Mapping[str, Sequence[Mutant]], sizes: Mapping[str, int], tried: Mapping[str, Tried]
) -> dict[str, Any]:
    """What is kept: counts of each room, and every survivor with the reason why it lives."""
    reasons = json.loads(REASONS.read_text(encoding="utf-8"))
    counts: dict[str, dict[str, int]] = {}
    for room, chosen in rooms.items():
        outcomes = Counter(tried[mutant.key].outcome for mutant in chosen if mutant.key in tried)
        counts[room] = {"mutants": sizes[room], "tried": outcomes.total(), **outcomes}
    survivors = [
        {
            "key": mutant.key,
            "file": mutant.file,
            "scope": mutant.scope,
            "before": mutant.before,
            "after": mutant.after,
            "outcome": tried[mutant.key].outcome,
            "reason": reasons.get(mutant.key, ""),
        }
        for chosen in rooms.values()
        for mutant in chosen
        if mutant.key in tried and not tried[mutant.key].is_dead
    ]
    return {"seed": seed, "rooms": counts, "survivors": survivors}


def share(counts: Mapping[str, int]) -> float:
    """The share of the mutants tried that the tests saw."""
    return (counts.get("killed", 0) + counts.get("out of time", 0)) / max(1, counts["tried"])


def total(rooms: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """The sum of all rooms."""
    found: Counter[str] = Counter()
    for counts in rooms.values():
        found.update(counts)
    return dict(found)


def table(content: Mapping[str, Any]) -> str:
    """A row for each room and their sum, then one for each survivor, in Markdown."""
    rooms = {**content["rooms"], "all": total(content["rooms"])}
    lines = ["| room | mutants | tried | killed | out of time | survived | untested | seen |\n"]
    lines.append("|---|---:|---:|---:|---:|---:|---:|---:|\n")
    for room, counts in rooms.items():
        cells = [f"{counts.get(name, 0):,}" for name in ("mutants", "tried", *_OUTCOMES)]
        lines.append(f"| {' | '.join((room, *cells, f'{share(counts):.1%}'))} |\n")
    lines.append("\n| survivor | fault | why it lives |\n|---|---|---|\n")
    for one in content["survivors"]:
        where = f"{one['file'].removeprefix('stability/')} {one['scope']}".strip()
        before, after = differing(one["before"], one["after"])
        lines.append(f"| {where} | {_code(before)} → {_code(after)} | {one['reason'] or 'not known'} |\n")
    return "".join(lines)


def differing(before: str, after: str, around: int = 24) -> tuple[str, str]:
    """The parts of two texts in which they differ, with a little of what is around them."""
    first = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    same = 0
    while same < min(len(before), len(after)) - first and before[-1 - same] == after[-1 - same]:
        same += 1
    start, rest = max(0, first - around), max(0, same - around)
    return _cut(before, start, rest), _cut(after, start, rest)


def _cut(text: str, start: int, rest: int) -> str:
    stop = len(text) - rest
    return f"{'…' if start else ''}{text[start:stop]}{'…' if rest else ''}"


def _code(text: str) -> str:
    return f"`{text.replace('|', '¦').replace('`', '´')}`"


def with_table(page: str, content: Mapping[str, Any]) -> str:
    """The page with this table in place of the one in it."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{table(content)}{END}{rest.partition(END)[2]}"


def on_page(content: Mapping[str, Any]) -> None:
    """Keep the figures, and put the table on the page."""
    DATA.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), content), encoding="utf-8")


_OUTCOMES = ("killed", "out of time", "survived", "untested")
