"""What is left behind, printed, or taken: threads, processes, streams, files, time and memory."""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tools.hostile.act import Family

LEFT = Family("left behind")
STREAMS = Family("streams and the channel")
FILES = Family("files")
LIMITS = Family("time and memory")
FOR_EVER = 1_000  # seconds
OUT = Path("out")  # the run's folder


def for_ever() -> None:
    """Sleep."""
    time.sleep(FOR_EVER)


def forked(what: Callable[[], Any]) -> int:
    """Do something in a process of its own, which ends after it; its number."""
    pid = os.fork()
    if pid == 0:
        try:
            what()
        finally:
            os._exit(0)
    return pid


LEFT.add("a thread", lambda *_: threading.Thread(target=for_ever).start(), "held")
LEFT.add(
    "50 threads", lambda *_: [threading.Thread(target=for_ever).start() for _ in range(50)] and None, "held"
)
LEFT.add("a thread that raises", lambda *_: threading.Thread(target=lambda: 1 / 0).start(), "held")
LEFT.add("a command", lambda *_: subprocess.Popen(["sleep", str(FOR_EVER)]) and None, "held")
LEFT.add("a forked process", lambda *_: forked(for_ever) and None, "held")
LEFT.add("an exit handler", lambda *_: atexit.register(os._exit, 0) and None, "held")
LEFT.add(
    "a timer",
    lambda *_: threading.Timer(0.2, lambda: os.kill(os.getpid(), 9)).start(),
    "held",
    "process_ended",
)


@LEFT.act("held")
def a_daemon(*_: Any) -> None:
    """Of its own session, orphaned, with every descriptor that it has inherited."""
    os.waitpid(forked(lambda: (os.setsid(), forked(for_ever))), 0)


@LEFT.act("held")
def a_daemon_of_another_program(*_: Any) -> None:
    subprocess.Popen(["sleep", str(FOR_EVER)], start_new_session=True, stdout=-3, stderr=-3)


@LEFT.act("held", "process_ended")
def a_copy_of_itself_that_goes_on(*_: Any) -> None:
    os.fork()


@LEFT.act("process_ended", "held")
def a_copy_that_goes_on_in_its_place(*_: Any) -> None:
    if os.fork():
        os._exit(0)


@LEFT.act("held")
def zombies(*_: Any) -> None:
    for _ in range(20):
        forked(lambda: None)


@LEFT.act("held")
def another_session(*_: Any) -> None:
    os.setsid() if os.getpgid(0) != os.getpid() else os.setpgid(0, os.getpgid(os.getppid()))


STREAMS.add("prints 10 MB", lambda *_: sys.stdout.write("a" * 10_000_000) and None, "held")
STREAMS.add(
    "prints a million lines to stderr", lambda *_: sys.stderr.write("a\n" * 1_000_000) and None, "held"
)
STREAMS.add(
    "prints workflow commands", lambda *_: sys.stdout.write("\n::error::injected\n##[x]\n") and None, "held"
)
STREAMS.add(
    "prints what is no text", lambda *_: os.write(1, b"\xff\xfe\x80\x00\xed\xa0\x80\n") and None, "held"
)
STREAMS.add("closes stdin, stdout and stderr", lambda *_: os.closerange(0, 3), "held")
STREAMS.add("closes sys.stdout", lambda *_: sys.stdout.close(), "held", "editor_raised")
STREAMS.add("replaces sys.stdout", lambda *_: setattr(sys, "stdout", None), "held")
STREAMS.add("closes all", lambda *_: os.closerange(0, 1024), "process_ended")


def sockets() -> list[int]:
    """Descriptors of sockets."""
    found = []
    for place in Path("/proc/self/fd").iterdir():
        try:
            if str(place.readlink()).startswith("socket:"):
                found.append(int(place.name))
        except OSError:
            continue
    return found


STREAMS.add("closes the channel", lambda *_: [os.close(one) for one in sockets()] and None, "process_ended")
STREAMS.add(
    "says nonsense on the channel", lambda *_: [os.write(one, b"nonsense\n") for one in sockets()] and None,
    "process_ended",
)  # fmt: skip
STREAMS.add(
    "says 10 MB without an end on the channel",
    lambda *_: [socket.socket(fileno=os.dup(one)).sendall(b"a" * 10_000_000) for one in sockets()] and None,
    "process_ended",
)
STREAMS.add(
    "says on the channel that it is done",
    lambda *_: [os.write(one, b'{"progress":{"status":"complete"}}\n') for one in sockets()] and None,
    "process_ended",
)
STREAMS.add(
    "says on the channel that a thousand edits were made",
    lambda *_: (
        [
            os.write(one, b'{"progress":{"outcomes":[%s]}}\n' % b",".join([OUTCOME] * 1_000))
            for one in sockets()
        ]
        and None
    ),
    "process_ended",
)
OUTCOME = b'{"id":"a","prompt":"b","subject":"c","target":"d","success":true}'
STREAMS.add(
    "nests what it says on the channel",
    lambda *_: [os.write(one, b'{"progress":' * 5_000 + b"\n") for one in sockets()] and None,
    "process_ended",
)


@STREAMS.act("held")
def logs_and_warns_ten_thousand_times(*_: Any) -> None:
    for number in range(10_000):
        logging.getLogger("stranger").warning("::error::%s \x1b[2J", number)
        warnings.warn(f"a{number}", stacklevel=1)


@STREAMS.act("held")
def logs_what_cannot_be_written(*_: Any) -> None:
    logging.getLogger("stranger").warning("%d %s", "a")
    logging.getLogger("stranger\ud800").warning("\ud800")
    logging.shutdown()
    logging.disable(logging.CRITICAL)


FILES.add("removes the run's folder", lambda *_: shutil.rmtree(OUT), "held")
FILES.add("removes the record", lambda *_: (OUT / "run.json").unlink(), "held")
FILES.add("writes over the record", lambda *_: (OUT / "run.json").write_text("{}") and None, "held")
FILES.add("removes the lock", lambda *_: (OUT / ".stability.lock").unlink(), "held")
FILES.add("changes the folder", lambda *_: os.chdir("/"), "held")
FILES.add("sets a umask", lambda *_: os.umask(0o777) and None, "held")


@FILES.act("held")
def links_the_record_elsewhere(*_: Any) -> None:
    (OUT / "run.json").unlink()
    (OUT / "run.json").symlink_to(Path("elsewhere.json").absolute())


@FILES.act("unwritable")
def puts_a_folder_in_place_of_the_record(*_: Any) -> None:
    (OUT / "run.json").unlink()
    (OUT / "run.json" / "a").mkdir(parents=True)


@FILES.act("unwritable")
def puts_a_file_in_place_of_the_folder(*_: Any) -> None:
    shutil.rmtree(OUT)
    OUT.write_text("")


@FILES.act("held")
def removes_the_working_directory(*_: Any) -> None:
    os.chdir(tempfile.mkdtemp())
    Path.cwd().rmdir()


@FILES.act("held")
def leaves_a_thousand_files(*_: Any) -> None:
    for number in range(1_000):
        (OUT / f".{number}.part").touch()


@FILES.act("held")
def removes_the_suite(*_: Any) -> None:
    for file in Path().glob("*.stability.yaml"):
        file.unlink()


LIMITS.add("sleeps", lambda *_: for_ever(), "over_budget")
LIMITS.add("sleeps when prepared", lambda *_: for_ever(), "over_budget", moment="prepare")
LIMITS.add("loops in C", lambda *_: sum(range(10**14)) and None, "over_budget")
LIMITS.add("holds the interpreter", lambda *_: ctypes.PyDLL(None).sleep(FOR_EVER), "over_budget")
LIMITS.add("is nice", lambda *_: os.nice(19) and None, "held")


@LIMITS.act("over_budget")
def loops(*_: Any) -> None:
    while True:
        pass


@LIMITS.act("over_budget", "out_of_memory")
def takes_memory(*_: Any) -> None:
    held = []
    while True:
        held.append(b"\1" * (1 << 26))


@LIMITS.act("out_of_memory", "process_ended", "editor_raised")
def has_a_limit_of_memory(*_: Any) -> None:
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 26), taken + (1 << 26)))
    bytearray(1 << 30)


@LIMITS.act("editor_raised")
def takes_every_descriptor(*_: Any) -> None:
    while True:
        os.open(os.devnull, os.O_RDONLY)


@LIMITS.act("held", "editor_raised", "not measured")
def lets_no_file_be_written(*_: Any) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
