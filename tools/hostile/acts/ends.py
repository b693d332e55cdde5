"""Ending: by exceptions of every kind, exits, signals and crashes."""

from __future__ import annotations

import asyncio
import ctypes
import os
import resource
import signal
import sys
import warnings
from typing import Any

from tools.hostile.act import Does, Family, Moment

EXCEPTIONS = Family("exceptions")
EXITS = Family("exits and crashes")
SIGNALS = Family("signals")
MOMENTS: tuple[Moment, ...] = ("prepare", "edit", "report")


def raises(error: BaseException) -> Does:
    """Raises this."""

    def does(*_: Any) -> None:
        raise error

    return does


class MuteError(Exception):
    """One whose text cannot be had."""

    def __str__(self) -> str:
        raise ValueError("no text")


class NoTextError(Exception):
    """One whose text is none."""

    def __str__(self) -> str:
        return 7  # type: ignore[return-value]


class SlyError(BaseException):
    """One that no handler of exceptions catches."""


class EndlessError(Exception):
    """One that is its own cause."""

    def __init__(self) -> None:
        self.__cause__ = self


for _name, _error in {
    "ValueError": ValueError("bad"),
    "MemoryError": MemoryError(),
    "StopIteration": StopIteration(),
    "AssertionError": AssertionError(),
    "an exception group": ExceptionGroup("several", [ValueError("a"), KeyError("b")]),
    "a text of 5 MB": ValueError("a" * 5_000_000),
    "5 million lines": ValueError("\n" * 5_000_000 + "x"),
    "surrogates": ValueError("\ud800\udfff"),
    "control characters": ValueError("\x1b[2J\x00\x07\u202e"),
    "a workflow command": ValueError("\n::error::injected\n##[error]injected"),
    "XML and HTML": ValueError("]]><script>alert(1)</script>&amp;<!--"),
    "a text that raises": MuteError(),
    "a text that is none": NoTextError(),
    "its own cause": EndlessError(),
    "bytes": ValueError(b"\xff\xfe"),
    "a long name": type("E" * 100_000, (Exception,), {})("bad"),
    "one of the harness's own": OSError(28, "No space left on device"),
}.items():
    EXCEPTIONS.add(
        f"raises {_name}",
        raises(_error),
        *(("out_of_memory",) if _name == "MemoryError" else ("editor_raised",)),
    )
for _moment in MOMENTS:
    for _error in (SystemExit(0), GeneratorExit()):
        EXCEPTIONS.add(
            f"raises {type(_error).__name__}, {_moment}", raises(_error), "editor_raised", moment=_moment
        )
    for _error in (KeyboardInterrupt(), SlyError("sly"), asyncio.CancelledError()):
        EXCEPTIONS.add(
            f"raises {type(_error).__name__}, {_moment}", raises(_error), "process_ended", moment=_moment
        )


@EXCEPTIONS.act("editor_raised")
def recurses(*arguments: Any) -> None:
    recurses(*arguments)


@EXCEPTIONS.act("editor_raised")
def makes_warnings_errors(*_: Any) -> None:
    warnings.simplefilter("error")
    warnings.warn("mine", stacklevel=1)


for _moment in MOMENTS:
    for _status in (0, 3):
        EXITS.add(
            f"os._exit({_status}), {_moment}",
            lambda *_, status=_status: os._exit(status),
            "process_ended",
            moment=_moment,
        )


@EXITS.act("process_ended")
def reads_address_0(*_: Any) -> None:
    ctypes.string_at(0)


@EXITS.act("process_ended")
def writes_over_the_heap(*_: Any) -> None:
    place = ctypes.create_string_buffer(16)
    ctypes.memset(place, 0x41, 1 << 26)


@EXITS.act("process_ended")
def aborts(*_: Any) -> None:
    os.abort()


@EXITS.act("process_ended", "editor_raised", "over_budget")
def recurses_in_c(*_: Any) -> None:
    sys.setrecursionlimit(10**9)
    nested: list[Any] = []
    for _ in range(5_000_000):
        nested = [nested]
    repr(nested)


@EXITS.act("process_ended")
def calls_libc_exit(*_: Any) -> None:
    ctypes.CDLL(None).exit(0)


@EXITS.act("process_ended")
def becomes_another_program(*_: Any) -> None:
    os.execv("/bin/true", ["true"])


for _signal in (
    *(
        "SIGKILL",
        "SIGTERM",
        "SIGINT",
        "SIGHUP",
        "SIGQUIT",
        "SIGSEGV",
        "SIGBUS",
        "SIGFPE",
        "SIGILL",
        "SIGPIPE",
    ),
    *("SIGUSR1", "SIGALRM", "SIGXCPU", "SIGSYS"),
):
    SIGNALS.add(
        f"{_signal} to itself",
        lambda *_, name=_signal: signal.raise_signal(getattr(signal, name)),
        *(("held",) if _signal == "SIGPIPE" else ("process_ended",)),  # ignored by Python
    )
SIGNALS.add("SIGKILL to its group", lambda *_: os.killpg(0, signal.SIGKILL), "process_ended")
SIGNALS.add("SIGTERM to its group", lambda *_: os.killpg(0, signal.SIGTERM), "process_ended")
SIGNALS.add("SIGSTOP to itself", lambda *_: os.kill(os.getpid(), signal.SIGSTOP), "over_budget")


@SIGNALS.act("process_ended")
def is_out_of_processor_time(*_: Any) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        pass


@SIGNALS.act("over_budget")
def ignores_every_signal(*_: Any) -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        signal.sigtimedwait([], 1000)


@SIGNALS.act("held")
def sets_handlers(*_: Any) -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, lambda *_: os._exit(0))


@SIGNALS.act("interrupted")
def interrupts_the_command(*_: Any) -> None:
    os.kill(os.getppid(), signal.SIGINT)
    signal.pause()


@SIGNALS.act("interrupted")
def terminates_the_command(*_: Any) -> None:
    os.kill(os.getppid(), signal.SIGTERM)
    signal.pause()
