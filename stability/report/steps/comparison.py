"""A comparison as a table: on a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from stability.judge.side_by_side.change import ChangeCell, Outcome
from stability.judge.side_by_side.editors import CheckRow, EditorComparison, Standing
from stability.printable import without_commands
from stability.report.steps import wording
from stability.report.steps.markup import escape
from stability.report.steps.markup import row as markdown_row

STYLES: dict[Outcome, str] = {"better": "green", "worse": "bold red", "mixed": "yellow"}
MARKS: dict[Outcome, str] = {"better": "🟢 ", "worse": "🔴 ", "mixed": "🟡 "}
WORDS: tuple[Outcome, ...] = ("worse", "mixed", "better", "same", "untold", "alone", "missing")
CALLED: dict[Outcome, str] = {
    "untold": "not told from noise",
    "alone": "not compared",
    "missing": "not measured",
}
UNSAID: tuple[Outcome, ...] = ("untold", "alone")  # outcomes that cells do not mention
NOTHING = "–"
GAP = "  "
WIDTH = 120  # characters of a block of columns
FIXED = 3  # columns that are repeated in every block


def render_comparison(comparison: EditorComparison) -> str:
    """The table as plain text; see `comparison_text`."""
    return without_commands(comparison_text(comparison).plain)


def comparison_text(comparison: EditorComparison) -> Text:
    """The table with colours: a row for each check, a column for each contender, compared with the first."""
    text = Text()
    text.append(headline(comparison) + "\n\n", style="bold")
    names = [wording.clean(name) for name in comparison.names]
    lines = [["check", "bound", *names]]
    lines += [
        [wording.clean(row.check), row.bound, *(cell_words(row, cell, i) for i, cell in enumerate(row.cells))]
        for row in comparison.rows
    ]
    lines += standings(comparison)
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for columns in blocks(widths):
        for number, line in enumerate(lines):
            cells = comparison.rows[number - 1].cells if 0 < number <= len(comparison.rows) else ()
            for column in columns:
                outcome = cells[column - 2].outcome if cells and column > 2 else "same"
                style = "bold" if number == 0 else STYLES.get(outcome, "")
                words = line[column] if column == columns[-1] else line[column].ljust(widths[column])
                text.append(GAP + words, style=style)
            text.append("\n")
        if columns[-1] < len(widths) - 1:
            text.append("\n")
    text.append("\n" + "\n".join(tallies(comparison, wording.clean)))
    return text


def blocks(widths: Sequence[int]) -> list[list[int]]:
    """The columns of each block of the table; check, bound and the first contender are in every block."""
    fixed = list(range(min(FIXED, len(widths))))
    found = [list(fixed)]
    for column in range(FIXED, len(widths)):
        taken = sum(len(GAP) + widths[other] for other in (*found[-1], column))
        if len(found[-1]) > FIXED and taken > WIDTH:
            found.append(list(fixed))
        found[-1].append(column)
    return found


def render_comparison_markdown(comparison: EditorComparison) -> str:
    """The table in GitHub's Markdown."""
    lines = [
        markdown_row(["check", "bound", *map(escape, comparison.names)]),
        markdown_row(["---"] * (2 + len(comparison.names))),
    ]
    for row in comparison.rows:
        cells = [
            (MARKS.get(cell.outcome, "") if index else "") + escape(cell_words(row, cell, index))
            for index, cell in enumerate(row.cells)
        ]
        lines.append(markdown_row([escape(row.check), escape(row.bound), *cells]))
    lines += [markdown_row(map(escape, line)) for line in standings(comparison)]
    said = "\n".join(f"- {line}" for line in tallies(comparison, escape))
    return f"## {escape(headline(comparison))}\n\n" + "\n".join(lines) + f"\n\n{said}\n"


def headline(comparison: EditorComparison) -> str:
    """`norm-growth on world · after 20 edits · seeds 0, 1, 2 · against rome`."""
    seeds = ", ".join(map(str, comparison.seeds))
    words = [
        f"{comparison.suite} on {comparison.model}",
        f"after {comparison.edits} edit{'s' if comparison.edits != 1 else ''}",
        f"{'seed' if len(comparison.seeds) == 1 else 'seeds'} {seeds}",
        f"against {comparison.names[0]}",
    ]
    return wording.clean(" · ".join(words))


def cell_words(row: CheckRow, cell: ChangeCell, index: int) -> str:
    """`1.52 worse +0.25 [0.21, 0.29]`; only the value for the first contender, or if that has no value."""
    if cell.value is None:
        return NOTHING
    value = wording.number(cell.value)
    if index == 0:
        return value
    words = [value]
    if cell.outcome not in UNSAID:
        words.append(cell.outcome)
    if cell.change is not None and cell.change != 0:
        words.append(signed(cell.change))
    if cell.interval is not None:
        words.append(wording.span(*cell.interval))
    if cell.note:
        words.append(f"({cell.note})")
    return " ".join(words)


def signed(change: float) -> str:
    """`+0.25`."""
    number = wording.number(change)
    return number if number.startswith("-") else f"+{number}"


def standings(comparison: EditorComparison) -> list[list[str]]:
    """The last rows of the table, which are not tested: edits held, horizon, and seconds an edit."""
    held = [
        NOTHING if standing.held_to is None else str(standing.held_to) for standing in comparison.standings
    ]
    seconds = [
        NOTHING if standing.seconds_an_edit is None else wording.number(standing.seconds_an_edit)
        for standing in comparison.standings
    ]
    lines = [["edits to which all checks held", "", *held], ["seconds an edit", "", *seconds]]
    if comparison.by_horizon:
        lines.insert(0, ["horizon, median and worst", "", *map(_horizon, comparison.standings)])
    return lines


def _horizon(standing: Standing) -> str:
    """`74, 60`; `74 [50, 81], 60` where noise leaves the median open."""
    if standing.horizon is None:
        return NOTHING
    median, worst = (
        NOTHING if edits is None else wording.number(edits)
        for edits in (standing.horizon.median, standing.horizon.worst)
    )
    least, most = standing.horizon.median_at
    if least is None or least == most == standing.horizon.median:
        return f"{median}, {worst}"
    return f"{median} [{wording.number(least)}, {'...' if most is None else wording.number(most)}], {worst}"


def tallies(comparison: EditorComparison, shown: Callable[[str], str]) -> Sequence[str]:
    """`ft: 2 worse (task_drop[arena], edits_took), 5 same`, and the reason if some are not compared."""
    lines = []
    for name in comparison.names[1:]:
        parts = []
        for outcome in WORDS:
            checks = comparison.checks(name, outcome)
            if checks:
                listed = f" ({', '.join(checks)})" if outcome in ("worse", "mixed", "better") else ""
                parts.append(f"{len(checks)} {CALLED.get(outcome, outcome)}{listed}")
        lines.append(shown(f"{name}: {', '.join(parts)}"))
    lines += [shown(f"{one.name}: {one.ended_early}") for one in comparison.standings if one.ended_early]
    if any(comparison.checks(name, "alone") for name in comparison.names[1:]):
        lines.append(shown(f"not compared: {comparison.names[0]} has no value there ({NOTHING})"))
    if len(comparison.by_horizon) > 1:
        lines.append(shown(f"by horizon: {', '.join(comparison.by_horizon)}"))
    return lines
