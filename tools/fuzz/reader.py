"""What a reader is to the fuzzer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.fuzz.mutations import Form

ROOT = Path(__file__).parents[2]


def nothing(folder: Path) -> None:
    """No files beside the mutated one."""


@dataclass(frozen=True)
class Reader:
    """A reader of the file called `file`, which is given to `read` in a folder with what `beside` puts there.

    `valid` are contents that it reads, and `cost` is about the milliseconds of a call, by which inputs are
    shared out. `is_altered`: reading changes the folder, so that it is made anew for each input.
    """

    name: str
    file: str
    form: Form
    valid: Callable[[], list[bytes]]
    read: Callable[[Path], object]
    cost: float = 5
    beside: Callable[[Path], None] = nothing
    is_altered: bool = False


def files(*paths: Path) -> Callable[[], list[bytes]]:
    """The contents of files."""
    return lambda: [path.read_bytes() for path in paths]


def texts(*contents: str) -> Callable[[], list[bytes]]:
    """Texts as contents."""
    return lambda: [content.encode() for content in contents]
