"""What the sources say beside the code: the comment after each field of a class; prose set as Markdown."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable
from functools import cache
from pathlib import Path


@cache
def field_comments(file: Path, kind: str) -> dict[str, str]:
    """The comment that stands beside each annotated field of a class, by the field's name."""
    text = file.read_text(encoding="utf-8")
    comments = {
        token.start[0]: token.string.lstrip("# ")
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.COMMENT and not token.string.startswith("# noqa")
    }
    fields = (
        item
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ClassDef) and node.name == kind
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    )
    return {
        field.target.id: " ".join(
            comments[line] for line in range(field.lineno, (field.end_lineno or 0) + 1) if line in comments
        )
        for field in fields
    }


def prose(text: str) -> str:
    """A docstring's text as Markdown: characters that mean something there are escaped outside of code."""
    parts = text.split("`")
    for index in range(0, len(parts), 2):
        for character in "\\*_<[":
            parts[index] = parts[index].replace(character, f"\\{character}")
    return "`".join(parts)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table; columns that are empty in every row are left out."""
    kept = [list(row) for row in rows]
    wanted = [index for index in range(len(head)) if index == 0 or any(row[index] for row in kept)]
    lines = [[head[index] for index in wanted], ["---"] * len(wanted)]
    lines += [[row[index].replace("|", "\\|").replace("\n", " ") for index in wanted] for row in kept]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def code(text: str) -> str:
    """Text as code, or nothing."""
    return f"`{text}`" if text else ""
