"""Pieces of Markdown that no name or text in them can break."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from stability.report.steps import wording

MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~$@])")


def escape(text: str) -> str:
    """The text as it is: no markup, no HTML, no cell or line breaks, no mentions."""
    return MARKS.sub(r"\\\1", html.escape(wording.clean(text), quote=False))


def code(text: str) -> str:
    """A code span or, over several lines, a block that the text cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def row(cells: Iterable[str]) -> str:
    """A row of a table."""
    return "| " + " | ".join(cells) + " |"
