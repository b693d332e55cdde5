"""Streams on which GitHub's runner reads no command that the program did not mean.

Names, messages and whatever editors and libraries print are anybody's. A terminal takes no commands, and is
left as it is.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from stability.printable import clean_lines, shortened, without_commands

LONGEST_LOG = 20_000  # characters of a message in the log


class GuardedStream:
    """A stream of text that puts a space into what would be a command; all else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._before = ""  # of the line that is open, what can be the start of a command

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, which may be a piece of a line."""
        whole = self._before + text
        self._stream.write(without_commands(whole)[len(self._before) :])
        line = whole.replace("\r", "\n").rpartition("\n")[2]
        self._before = line if line.strip() in ("", ":") else f"x{line[-2:]}"
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)


def unguarded(stream: TextIO) -> TextIO:
    """The stream inside of a guarded one, for commands that are meant."""
    return stream._stream if isinstance(stream, GuardedStream) else stream


@contextmanager
def guarded_streams() -> Iterator[None]:
    """Guard stdout and stderr, where there is one."""
    before = sys.stdout, sys.stderr
    if sys.stdout is not None and not sys.stdout.isatty():
        sys.stdout = GuardedStream(sys.stdout)
    if sys.stderr is not None and not sys.stderr.isatty():
        sys.stderr = GuardedStream(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class LineFormatter(logging.Formatter):
    """Messages without control characters, and cut; warnings of Python's come as messages, too."""

    def format(self, record: logging.LogRecord) -> str:
        """The message with its level."""
        return clean_lines(shortened(super().format(record), LONGEST_LOG))
