"""The child's side of a fork: it begins with streams of its own, and ends with the status of its work."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from os import _exit  # by its own name, for an editor may put something else in its place
from pathlib import Path
from typing import NoReturn

from stability.errors import with_traceback

EASIER_TO_END = "500"  # than its parent, where the kernel has to choose for lack of memory


class Channel:
    """A child's way to talk to its parent."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._alone = threading.Lock()
        self._pid = os.getpid()

    def send(self, line: str) -> None:
        """Send a line; a copy of the process, which an editor has forked and let go on, ends here."""
        if os.getpid() != self._pid:
            _exit(1)
        with self._alone:
            self._connection.sendall(line.encode() + b"\n")

    def receive(self) -> bytes:
        """The byte that the parent answers; empty if it is gone."""
        return self._connection.recv(1)


def begin(work: Callable[[Channel], None], connection: socket.socket, out: int, err: int) -> NoReturn:
    """Do the work of a child that was just forked, and end: with status 0 only if the work was done."""
    status = 1
    try:
        os.setpgid(0, 0)  # what it starts is ended with it, and Ctrl-C is for its parent
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(EASIER_TO_END, encoding="ascii")
        _redirect(out, err)
        work(Channel(connection))
        status = 0
    except BaseException as error:  # of whatever kind, nothing may get out into what was forked
        with contextlib.suppress(Exception):
            sys.stderr.write(f"{with_traceback(error)}\n")
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        _exit(status)


def _redirect(out: int, err: int) -> None:
    """Take these pipes for stdout and stderr, and nothing for stdin: the parent's are not to be shared."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, place in ((nothing, 0), (out, 1), (err, 2)):
        os.dup2(descriptor, place)
    sys.stdin = sys.__stdin__ = os.fdopen(0, encoding="utf-8", closefd=False)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _lines(1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _lines(2)  # type: ignore[misc]
    faulthandler.enable(sys.stderr)
    threading.excepthook = _thread_failed


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    """Say so in a line, of a thread that an editor has started."""
    if failed.exc_value is not None and sys.stderr is not None:
        sys.stderr.write(f"a thread of the run has ended: {with_traceback(failed.exc_value)}\n")


def _lines(descriptor: int) -> io.TextIOWrapper:
    binary = os.fdopen(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(binary, encoding="utf-8", errors="backslashreplace", line_buffering=True)
