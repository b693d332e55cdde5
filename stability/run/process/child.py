"""A process forked from this one: what it says arrives here, and nothing else that it does.

It is forked in a thread of its own, which then waits for it. GNU's OpenMP keeps a pool for each thread, and a
process that was forked from a thread with a pool hangs; and the kernel ends a child together with the thread
that forked it (PR_SET_PDEATHSIG), so that none is left when this process is killed.
"""

from __future__ import annotations

import codecs
import contextlib
import ctypes
import os
import selectors
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TextIO

from stability.errors import MeasurementError
from stability.run.process.begin import Channel, begin

TICK = 0.1  # s between two looks at the budget
LAST_WORDS = 5.0  # s in which what a child left in its pipes is read, once it has ended
PIECE = 1 << 16
LOST = 255  # the exit status of a child that somebody else has waited for
PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


class Child:
    """A process that does some work with a channel to this one. Use it as a context: it ends there.

    Raises:
        MeasurementError: there is no room for another process.
    """

    def __init__(self, work: Callable[[Channel], None]) -> None:
        self._work = work
        self._alone = threading.Lock()
        self._forked = threading.Event()
        self._refused: OSError | None = None
        _fill_standard_streams()
        self._socket, self._far = socket.socketpair()
        self._out, self._far_out = os.pipe()
        self._err, self._far_err = os.pipe()
        self._ended, self._says_ended = os.pipe()
        self._libc = ctypes.CDLL(None)
        self.pid = 0
        self.status: int | None = None  # as `subprocess` gives it: -9 for SIGKILL

    def __enter__(self) -> Child:
        self._thread = threading.Thread(target=self._fork, name="stability-child", daemon=True)
        self._thread.start()
        self._forked.wait()
        self._far.close()
        os.close(self._far_out)
        os.close(self._far_err)
        if self._refused is not None:
            self._close()
            raise MeasurementError(
                f"no process can be started for the run: {self._refused.strerror}; "
                "make room, or run with --isolation none"
            ) from self._refused
        return self

    def __exit__(self, *exception: object) -> None:
        self.kill()
        self._thread.join()
        self._close()

    def lines(self) -> Iterator[bytes | None]:
        """The lines that the child sends, and None now and then; until it has ended.

        What it prints goes to stdout and stderr of this process.
        """
        sent = _Lines()
        printed = {self._out: _Printed("stdout"), self._err: _Printed("stderr")}
        until = float("inf")
        with selectors.DefaultSelector() as selector:
            for descriptor in (self._socket.fileno(), self._out, self._err, self._ended):
                selector.register(descriptor, selectors.EVENT_READ)
            while time.monotonic() < until:
                ready = selector.select(TICK if until == float("inf") else 0)
                for key, _ in ready:
                    if key.fd == self._ended:
                        until = time.monotonic() + LAST_WORDS
                        selector.unregister(key.fd)
                        continue
                    piece = _read(key.fd)
                    if not piece:
                        selector.unregister(key.fd)
                    if key.fd in printed:
                        printed[key.fd].write(piece)
                    else:
                        yield from sent.add(piece)
                if not ready and until < float("inf"):
                    return
                yield None

    def answer(self, word: bytes) -> None:
        """Send a byte to the child; one that has ended does not hear it."""
        with contextlib.suppress(OSError):
            self._socket.sendall(word)

    def kill(self) -> None:
        """End the child, and what it has started."""
        with self._alone:  # for its number is not given to another before it is waited for
            if self.status is None:
                _kill(self.pid)

    def _fork(self) -> None:
        parent = os.getpid()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12's, of threads: see above
                self.pid = os.fork()
        except OSError as error:
            self._refused = error
            self.status = LOST
            self._forked.set()
            return
        if self.pid == 0:
            self._libc.prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
            self._close()  # the parent's ends
            if os.getppid() != parent:  # it has ended before that was asked for
                os._exit(1)
            begin(self._work, self._far, self._far_out, self._far_err)
        with contextlib.suppress(OSError):  # the child has done it, or has ended
            os.setpgid(self.pid, self.pid)
        self._forked.set()
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._alone:
            _kill(self.pid)
            try:
                self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            except ChildProcessError:
                self.status = LOST
        os.write(self._says_ended, b".")

    def _close(self) -> None:
        self._socket.close()
        for descriptor in (self._out, self._err, self._ended, self._says_ended):
            os.close(descriptor)


class _Lines:
    """Whole lines out of pieces of bytes."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> Iterator[bytes]:
        """The lines that end in this piece."""
        *whole, rest = piece.split(b"\n")
        for line in whole:
            yield b"".join([*self._pieces, line])
            self._pieces.clear()
        self._pieces.append(rest)


class _Printed:
    """What a child prints, on the stream of this process that has the name now."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def write(self, piece: bytes) -> None:
        """Print a piece, if anybody reads it; an empty one is the last."""
        stream: TextIO | None = getattr(sys, self._name)
        if stream is not None:
            with contextlib.suppress(OSError):  # the reader has left, or the disk is full
                stream.write(self._decoder.decode(piece, final=not piece))
                stream.flush()


def _fill_standard_streams() -> None:
    """Open what is closed of stdin, stdout and stderr, lest a pipe to the child takes the place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # as the lowest that is free


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, PIECE)
    except OSError:  # the other end was reset
        return b""


def _kill(pid: int) -> None:
    for end in (os.killpg, os.kill):  # it may have left its group
        with contextlib.suppress(ProcessLookupError, PermissionError):
            end(pid, signal.SIGKILL)
