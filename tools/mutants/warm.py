"""Pytest in processes forked from one that has imported everything heavy, but nothing of ours.

A child puts the mutated module in the way of its import and runs the tests that are named to it. A fork costs
tens of milliseconds; importing torch and its friends anew for each mutant would cost several seconds.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from _pytest.assertion.rewrite import AssertionRewritingHook
from hypothesis import Phase, settings

from tools.mutants.places import ROOT, module_of, mutated

HEAVY = """
    numpy scipy.stats scipy.optimize scipy.sparse.linalg torch torch.nn.functional transformers tokenizers
    safetensors.torch peft datasets lm_eval.api.registry lm_eval.tasks sklearn.linear_model sklearn.metrics
    pandas pyarrow yaml pydantic rich.console typer jinja2 matplotlib.figure hypothesis.strategies
    statsmodels.api statsmodels.stats.multitest filelock threadpoolctl coverage
"""
COMMON = ("-q", "-p", "no:cacheprovider", "--no-header", "--tb=line", "-m", "not torture")
QUIET = (*COMMON, "-x", "-W", "ignore::pytest.PytestAssertRewriteWarning")
PROFILE = "mutants"  # of hypothesis: the examples of each day, but what fails is not made smaller


@dataclass
class Result:
    """What came of the tests in a child; `loaded` is the module whose mutated code was executed there."""

    status: int | None = None  # pytest's; None if the process ended otherwise
    failed: list[str] = field(default_factory=list)
    passed: dict[str, float] = field(default_factory=dict)  # seconds of processor
    loaded: str = ""
    seconds: float = 0.0
    detail: str = ""


class Mutated(SourceFileLoader, MetaPathFinder):
    """Finds and loads one module from its mutated tree; with `number` None, from its tree as it is."""

    def __init__(self, file: str, number: int | None) -> None:
        super().__init__(module_of(file), str(ROOT / file))
        self._file, self._number = file, number
        self.executed = False

    def install(self) -> None:
        """Come first, also before pytest, which imports the packages of plugins in its own way."""
        sys.meta_path.insert(0, self)
        before = AssertionRewritingHook.find_spec

        def others(hook: AssertionRewritingHook, name: str, *rest: Any) -> ModuleSpec | None:
            return None if name == self.name else before(hook, name, *rest)

        AssertionRewritingHook.find_spec = others  # type: ignore[method-assign]

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The module's, and no other's."""
        return spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        """Of the mutated tree, never of a cached file."""
        if self._number is None:
            return compile((ROOT / self._file).read_bytes(), self.path, "exec", dont_inherit=True)
        return compile(mutated(self._file, self._number), self.path, "exec", dont_inherit=True)

    def exec_module(self, module: Any) -> None:
        """Execute it, and remember that."""
        self.executed = True
        super().exec_module(module)


class Outcomes:
    """The plugin that notes what passed and failed."""

    def __init__(self, result: Result) -> None:
        self.result = result
        self._spent = 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        """A test runs."""
        before = time.process_time()
        try:
            return (yield)
        finally:
            self._spent = time.process_time() - before

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test, or what is set up for it, has passed or failed."""
        if report.failed:
            self.result.failed.append(report.nodeid)
            self.result.detail = str(report.longrepr)[-300:]
        elif report.when == "call" and report.passed:
            self.result.passed[report.nodeid] = self._spent

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file was imported, or was not."""
        if report.failed:
            self.result.failed.append(report.nodeid)
            self.result.detail = str(report.longrepr)[-300:]


def warm_up() -> None:
    """Import what is heavy; afterwards nothing of ours may be there."""
    for name in HEAVY.split():
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    ours = [name for name in sys.modules if name.partition(".")[0] == "stability"]
    if ours:
        raise RuntimeError(f"already imported, so a mutant of it would not be seen: {ours}")
    gc.collect()
    gc.freeze()


def run(
    tests: Sequence[str],
    file: str | None = None,
    number: int | None = None,
    *,
    seconds: float,
    plugins: Sequence[object] = (),
    options: Sequence[str] = QUIET,
) -> Result:
    """The outcome of these tests in a child where that file has the fault of that number.

    It is ended after `seconds` of the processor, or ten times as many of the clock.
    """
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        started = resource.getrusage(resource.RUSAGE_CHILDREN)
        child = os.fork()
        if child == 0:
            _child(Path(folder), tests, file, number, seconds, plugins, options)
        status = _wait(child, 10 * seconds)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        answer = Path(folder, "result.json")
        result = Result(**json.loads(answer.read_text())) if answer.exists() else Result()
        if not answer.exists():
            signalled = os.WIFSIGNALED(status)
            result.detail = signal.Signals(os.WTERMSIG(status)).name if signalled else f"exit {status >> 8}"
        if result.status != 0 and not result.failed:
            output = Path(folder, "output")
            result.detail += output.read_text(errors="replace")[-2000:] if output.exists() else ""
        result.seconds = ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime
        return result


def _wait(child: int, seconds: float) -> int:
    until = time.monotonic() + seconds
    pause = 0.01
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            _end_group(child)
            return status
        time.sleep(pause)
        pause = min(0.2, pause * 1.2)
    _end_group(child)
    return os.waitpid(child, 0)[1]


def _end_group(child: int) -> None:
    """End a child, and what it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)


def _child(
    folder: Path,
    tests: Sequence[str],
    file: str | None,
    number: int | None,
    seconds: float,
    plugins: Sequence[object],
    options: Sequence[str],
) -> None:
    """Run the tests and leave; never returns."""
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
        resource.setrlimit(resource.RLIMIT_AS, (24 << 30, 24 << 30))
        os.chdir(ROOT)
        sys.setrecursionlimit(1000)
        result = Result()
        loader = Mutated(file, number) if file is not None else None
        if loader is not None:
            loader.install()
        with _silent(folder):
            found = (Phase.explicit, Phase.generate)
            settings.register_profile(
                PROFILE, derandomize=True, deadline=None, max_examples=100, phases=found
            )
            places = [f"--basetemp={folder / 'tests'}", f"--hypothesis-profile={PROFILE}"]
            arguments = [*options, *places, *tests]
            result.status = int(pytest.main(arguments, plugins=[Outcomes(result), *plugins]))
        if loader is not None and loader.executed:
            result.loaded = loader.name
        (folder / "result.part").write_text(json.dumps(asdict(result)))
        (folder / "result.part").rename(folder / "result.json")
    except BaseException:
        (folder / "output").open("a").write(traceback.format_exc())
    finally:
        os._exit(0)


@contextlib.contextmanager
def _silent(folder: Path) -> Iterator[None]:
    """With stdout and stderr in a file."""
    with (folder / "output").open("w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        text = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
        sys.stdout = sys.stderr = text
        yield
