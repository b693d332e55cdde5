"""Pieces of Markdown in which all names and texts are escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from stability.report.steps import wording

MARKS = re.compile(r"([\\`*_{}\[\]()#+!|~$@])")


def escape(text: str) -> str:
    """The text escaped: it is no markup or HTML, and has no cell or line breaks and no mentions."""
    return MARKS.sub(r"\\\1", html.escape(wording.clean(text), quote=False))


def code(text: str) -> str:
    """The text as a code span or, if it has several lines, a code block; the text cannot end it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"


def row(cells: Iterable[str]) -> str:
    """A table row."""
    return "| " + " | ".join(cells) + " |"
