"""README.md and docs/*.md as a reader follows them: the files that a page shows, its commands and their output.

A fenced block whose first line is a comment with a file's name (`# my_editor.py`), or that has one as its
title, is that file. Blocks of `console` hold commands behind `$ `, each with what it prints below it; a block
of `bash` is one script.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"^( *)```(\w+)([^\n]*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
NAME = r"(?:[\w.-]+/)*[\w.-]+\.\w+"


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` is where its fence stands."""

    language: str
    title: str
    text: str
    line: int

    @property
    def file(self) -> str | None:
        """The name of the file that it shows."""
        found = re.search(rf'title="({NAME})"', self.title) or re.match(rf"# ({NAME})\n", self.text)
        return found[1] if found else None


@dataclass(frozen=True)
class Command:
    """A command, or a whole script, as it is written; `output` is what the page shows below it."""

    text: str
    output: tuple[str, ...]
    line: int
    is_script: bool = False


@dataclass(frozen=True)
class Page:
    """One page."""

    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def blocks(self, *languages: str) -> list[Block]:
        """The blocks of these languages, or all, in order."""
        return [
            Block(found[2], found[3], textwrap.dedent(found[4]), self.text[: found.start()].count("\n") + 1)
            for found in FENCE.finditer(self.text)
            if not languages or found[2] in languages
        ]

    def steps(self) -> Iterator[Block | Command]:
        """What a reader does from top to bottom: writes a file, or runs a command."""
        for block in self.blocks():
            if block.file is not None:
                yield block
            elif block.language in ("bash", "sh"):
                yield Command(block.text, (), block.line, is_script=True)
            elif block.language == "console":
                yield from console(block)

    def commands(self) -> list[Command]:
        """The commands alone."""
        return [step for step in self.steps() if isinstance(step, Command)]


def console(block: Block) -> Iterator[Command]:
    """The commands of a console block; one that ends with a backslash goes on in the next line."""
    lines = block.text.splitlines()
    number = 0
    while number < len(lines):
        assert lines[number].startswith("$ "), f"line {block.line + number + 1} follows no command"
        start, text = number, lines[number].removeprefix("$ ")
        while text.endswith("\\"):
            number += 1
            text += "\n" + lines[number]
        output = []
        number += 1
        while number < len(lines) and not lines[number].startswith("$ "):
            output.append(lines[number])
            number += 1
        yield Command(text, tuple(output), block.line + start + 1)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tests that take a `page` run on each; those that take a `busy_page`, on each that has commands."""
    if "page" in metafunc.fixturenames:
        metafunc.parametrize("page", [Page(path) for path in PAGES], ids=lambda page: page.path.name)
    if "busy_page" in metafunc.fixturenames:
        busy = [page for page in map(Page, PAGES) if page.commands()]
        metafunc.parametrize("busy_page", busy, ids=lambda page: page.path.name)


@pytest.fixture(scope="session")
def pages() -> list[Page]:
    """All of them."""
    return [Page(path) for path in PAGES]
