"""Being told to end: the first time what there is is written, the second time nothing is waited for."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130  # exit statuses
TERMINATED = 143
SHOW_CURSOR = "\x1b[?25h"


class TerminatedError(KeyboardInterrupt):
    """The system has asked this process to end: SIGTERM, by which a CI job is cancelled."""


@contextmanager
def interruptible() -> Iterator[None]:
    """While open, the first SIGINT or SIGTERM raises, and the next one ends the process at once.

    One that this process was started to ignore, as a shell does for what runs in the background, stays so.
    """

    def told(number: int, frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, _end)
        raise TerminatedError if number == signal.SIGTERM else KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, told)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interruption(error: KeyboardInterrupt) -> tuple[str, int]:
    """What has interrupted a command, in a word, and its exit status."""
    return ("terminated", TERMINATED) if isinstance(error, TerminatedError) else ("interrupted", INTERRUPTED)


def same_command(last: str) -> str:
    """The command that this process was started by, for a shell: `--resume` or `--overwrite` ends it."""
    words = [word for word in sys.argv[1:] if word not in ("--resume", "--overwrite")]
    return shlex.join(["stability", *words, last])


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """End without waiting for anything; a file that is being written has not got its name yet."""
    with suppress(Exception):
        if sys.stderr.isatty():
            sys.stderr.write(SHOW_CURSOR)  # a bar of progress hides it
            sys.stderr.flush()
    os._exit(TERMINATED if number == signal.SIGTERM else INTERRUPTED)
