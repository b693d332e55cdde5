"""Commands in processes of their own, forked from one that has imported torch and its like already.

What differs from `python -m MODULE ARGUMENTS` in a shell: libraries of others are imported, but nothing of the
harness. A test of what is imported, or of the installed program itself, starts a process from nothing.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import runpy
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from multiprocessing.reduction import DupFd
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

LIBRARIES = [  # what is slow to import, or is asked for by a plugin of pytest
    "anyio",
    "hypothesis",
    "jinja2",
    "lm_eval.api.task",
    "lm_eval.evaluator",
    "pydantic",
    "rich.console",
    "scipy.stats",
    "sklearn.linear_model",
    "torch",
    "transformers.models.gpt2.modeling_gpt2",
    "typer",
    "yaml",
]
SECONDS = 300  # after which a command hangs


CALLER = f"""\
#!{sys.executable} -ISE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect("{{address}}")
    words = [os.path.basename(sys.argv[0]), *sys.argv[1:]]
    asked = json.dumps([words, os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(line, [b" "], [0, 1, 2])
    line.sendall(asked)
    line.shutdown(socket.SHUT_WR)
    status = int(line.recv(100))
sys.exit(status if status >= 0 else 128 - status)
"""


def run_module(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> CompletedProcess[str]:
    """Run `python -m ARGUMENTS` in the folder, with this environment and no other.

    Raises:
        TimeoutError: it hangs.
    """
    with TemporaryDirectory() as written:
        out, err = Path(written, "out"), Path(written, "err")
        with Path(os.devnull).open() as nothing, out.open("wb") as to, err.open("wb") as errors:
            files = (nothing.fileno(), to.fileno(), errors.fileno())
            status = _started(arguments, str(folder), environment, files)
        return CompletedProcess(
            arguments, status, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8")
        )


@contextlib.contextmanager
def programs(*modules: str) -> Iterator[Path]:
    """A folder of programs, for a shell too: one of a module's name does what `python -m MODULE` does.

    They send their arguments, folder, environment and open files to this process, and end as what is started
    for them ends.
    """
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as door:
        address = str(Path(folder, ".door"))
        for module in modules:
            program = Path(folder, module)
            program.write_text(CALLER.replace("{address}", address), encoding="utf-8")
            program.chmod(0o755)
        door.bind(address)
        door.listen()
        thread = Thread(target=_serve, args=(door,))
        thread.start()
        try:
            yield Path(folder)
        finally:
            door.shutdown(socket.SHUT_RD)  # which ends the thread's waiting
            thread.join()


def _serve(door: socket.socket) -> None:
    """Start what is called for at the door, until it is shut."""
    with contextlib.suppress(OSError):
        while True:
            line, _ = door.accept()
            Thread(target=_answer, args=(line,)).start()


def _answer(line: socket.socket) -> None:
    with line:
        _, files, *_ = socket.recv_fds(line, 1, 3)
        said = b"".join(iter(lambda: line.recv(1 << 16), b""))
        arguments, folder, environment = json.loads(said)
        status = 1
        try:
            status = _started(arguments, folder, environment, files)
        finally:
            for file in files:
                os.close(file)
            line.sendall(str(status).encode())


def _started(arguments: list[str], folder: str, environment: Mapping[str, str], files: Any) -> int:
    """The exit status of a command, negative for a signal, with these as stdin, stdout and stderr."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    process = context.Process(target=_run, args=(arguments, folder, dict(environment), _Files(files)))
    process.start()
    process.join(SECONDS)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{' '.join(arguments)} has not ended in {SECONDS} s")
    return process.exitcode


class _Files:
    """Open files that go to the process along with what it is told."""

    def __init__(self, files: Any) -> None:
        self.files = files

    def __getstate__(self) -> list[Any]:
        return [DupFd(file) for file in self.files]

    def __setstate__(self, sent: list[Any]) -> None:
        self.files = [one.detach() for one in sent]


def _run(arguments: list[str], folder: str, environment: Mapping[str, str], files: _Files) -> None:
    """In the forked process: do what the interpreter does on `-m`."""
    for standard, file in enumerate(files.files):
        os.dup2(file, standard)
        os.close(file)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = folder
    sys.path[1:1] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.argv = arguments
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
