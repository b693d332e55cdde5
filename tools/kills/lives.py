"""Lives of a piece of work: each a process that is killed at a random moment, until one comes to the end."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from stability.cli.steps.interruption import INTERRUPTED, TERMINATED, interruptible, interruption
from tools.kills.work import Work

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
# With which a life may end that was told to: by the signal itself, if that came before it was listened to.
STATUSES = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, INTERRUPTED, TERMINATED)
SHARE = 0.7  # of the time that all of it takes; a life before it has come to some of it
MOST_KILLS = 12  # of one piece of work; then it is let come to its end


@dataclass
class Series:
    """The lives of one piece of work: how often each signal ended one, and what was wrong at the end."""

    kind: str
    name: str
    kills: dict[str, int] = field(default_factory=dict)
    problem: str = ""

    @property
    def total(self) -> int:
        """All kills."""
        return sum(self.kills.values())


def reference(work: Work) -> tuple[str, float]:
    """The result of the work done at a stroke, and the seconds that it took."""
    with TemporaryDirectory(prefix="kills-") as folder:
        started = time.monotonic()
        status = _ended(_begin(work, Path(folder)))
        if status != 0:
            raise SystemExit(f"{work.kind} {work.name}: ended with status {status} though nobody killed it")
        return work.result(Path(folder)), time.monotonic() - started


def series(work: Work, expected: str, seconds: float, random: Random) -> Series:
    """Kill the work again and again, at any moment of `seconds`, and compare what it comes to in the end."""
    found = Series(work.kind, work.name)
    with TemporaryDirectory(prefix="kills-") as folder:
        while True:
            pid = _begin(work, Path(folder))
            number = random.choice(SIGNALS)
            is_killed = (
                found.total < MOST_KILLS and _ends_before(pid, random.uniform(0, SHARE * seconds)) is None
            )
            if is_killed:
                os.kill(pid, number)
            status = _ended(pid)
            if status == 0:
                break
            if not is_killed or status not in STATUSES:
                found.problem = f"a life ended with status {status}"
                return found
            found.kills[number.name] = found.kills.get(number.name, 0) + 1
        if work.result(Path(folder)) != expected:
            found.problem = "its result is not that of the work done at a stroke"
    return found


def _begin(work: Work, folder: Path) -> int:
    """A process that does the work, as the command line would: told to end, it writes what there is."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where this runs in the background
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        with interruptible():
            work.do(folder)
        status = 0
    except KeyboardInterrupt as error:
        status = interruption(error)[1]
    except BaseException:  # whatever it is, it ends this life and is told
        traceback.print_exc()
    finally:
        os._exit(status)


def _ends_before(pid: int, seconds: float) -> int | None:
    """Wait so long; the process's number if it has ended meanwhile."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return pid
        time.sleep(0.005)
    return None


def _ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
