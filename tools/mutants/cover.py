"""Which tests touch which lines, recorded once, so that a mutant needs only those that could see it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import coverage
import pytest

from tools.mutants.places import ROOT, Mutant
from tools.mutants.warm import COMMON, run

LONGEST_TEST = 6.0  # seconds; slower ones are no tests to try a mutant with
MOST_SECONDS = 20.0  # of all tests of a mutant
MOST_TESTS = 300
WAY = (*COMMON, "-W", "ignore::pytest.PytestAssertRewriteWarning")


class Contexts:
    """The plugin that tells coverage which test is running, and writes down what it saw."""

    def __init__(self, sources: Sequence[str], into: Path) -> None:
        self._into = into
        include = [str(ROOT / source / "*") for source in sources]
        self._coverage = coverage.Coverage(data_file=None, include=include, config_file=False)
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """A test begins, and ends."""
        self._coverage.switch_context(item.nodeid)
        answer = yield
        self._coverage.switch_context("")
        return answer

    def pytest_sessionfinish(self) -> None:
        """Write what was seen."""
        self._coverage.stop()
        data = self._coverage.get_data()
        lines: dict[str, dict[str, list[int]]] = {}
        for file in data.measured_files():
            name = str(Path(file).relative_to(ROOT))
            for line, contexts in data.contexts_by_lineno(file).items():
                for context in contexts:
                    if context:
                        lines.setdefault(name, {}).setdefault(context, []).append(line)
        self._into.write_text(json.dumps(lines))


@dataclass(frozen=True)
class Cover:
    """The seconds of each test that passes, and the lines of each file that each touches."""

    seconds: Mapping[str, float]
    lines: Mapping[str, Mapping[str, Sequence[int]]]

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that touch a mutant, those of its own file first, then the quick; few enough to be cheap.

        A fault outside of functions is there when the module is imported, which no test does: any that
        touches the file may see it. Last come the other tests of its own file: what is cached is touched by
        the first of them alone.
        """
        wanted = range(10**9) if mutant.at_import else range(mutant.first, mutant.last + 1)
        touching = [
            test
            for test, lines in self.lines.get(mutant.file, {}).items()
            if self.seconds.get(test, LONGEST_TEST) < LONGEST_TEST and any(line in wanted for line in lines)
        ]
        own = f"/test_{Path(mutant.file).stem}.py"
        touching.sort(key=lambda test: (own not in test, self.seconds[test], test))
        touching += [test for test in self.seconds if own in test and test not in touching]
        chosen: list[str] = []
        spent = 0.0
        for test in touching[:MOST_TESTS]:
            spent += self.seconds[test]
            if chosen and spent > MOST_SECONDS:
                break
            chosen.append(test)
        return chosen


def record(sources: Sequence[str], folders: Sequence[str], file: Path) -> Cover:
    """Run the tests of these folders, each in a process of its own, noting what they touch of the sources."""
    seconds: dict[str, float] = {}
    lines: dict[str, dict[str, Sequence[int]]] = {}
    for folder in folders:
        kept = file.with_name(f"{file.stem}-{folder.replace('/', '-')}-{digest_of(*sources, folder)}.json")
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            part = kept.with_suffix(".part")
            found = run([folder], seconds=3600, plugins=[_Late(sources, part)], options=WAY)
            touched = json.loads(part.read_text())
            kept.write_text(json.dumps({"seconds": found.passed, "failed": found.failed, "lines": touched}))
            part.unlink()
        content = json.loads(kept.read_text())
        seconds |= content["seconds"]
        for name, of in content["lines"].items():
            lines.setdefault(name, {}).update(of)
    return Cover(seconds, lines)


def digest_of(*folders: str) -> str:
    """Of the Python files in these folders: a recording is of that code."""
    digest = hashlib.sha256()
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            digest.update(f"{file.relative_to(ROOT)} {file.stat().st_size}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:12]


class _Late:
    """Begins to record in the child, not in the process that is forked."""

    def __init__(self, sources: Sequence[str], into: Path) -> None:
        self._sources, self._into = sources, into

    def pytest_configure(self, config: pytest.Config) -> None:
        config.pluginmanager.register(Contexts(self._sources, self._into), "contexts")
