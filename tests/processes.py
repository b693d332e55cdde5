"""Commands in processes of their own, forked from one that has imported torch and its like already.

What differs from `python -m MODULE ARGUMENTS` in a shell: libraries of others are imported, but nothing of the
harness. A test of what is imported, or of the installed program itself, starts a process from nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

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


def run_module(arguments: list[str], folder: Path, environment: Mapping[str, str]) -> CompletedProcess[str]:
    """Run `python -m ARGUMENTS` in the folder, with this environment and no other.

    Raises:
        TimeoutError: it hangs.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    with TemporaryDirectory() as written:
        out, err = Path(written, "out"), Path(written, "err")
        process = context.Process(target=_run, args=(arguments, folder, dict(environment), out, err))
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{' '.join(arguments)} has not ended in {SECONDS} s")
        return CompletedProcess(
            arguments,
            process.exitcode,
            out.read_text(encoding="utf-8"),
            err.read_text(encoding="utf-8"),
        )


def _run(arguments: list[str], folder: Path, environment: Mapping[str, str], out: Path, err: Path) -> None:
    """In the forked process: do what the interpreter does on `-m`."""
    for path, descriptor in ((out, 1), (err, 2)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = str(folder)
    sys.argv = arguments
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
