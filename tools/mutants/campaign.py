"""A sample of the mutants of each room, tried one after the other; a campaign can be gone on with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tools.mutants.cover import Cover
from tools.mutants.places import ROOT, Mutant, module_of, mutants
from tools.mutants.warm import run

Outcome = Literal["killed", "out of time", "survived", "untested"]
DEAD: tuple[Outcome, ...] = ("killed", "out of time")
ROOMS: Mapping[str, str] = {
    "judge": "stability/judge",
    "suite": "stability/suite",
    "metrics": "stability/metrics",
    "gate": "stability/gate/weights",
}
CONTROLS = (  # a file of each room, a function in it, and the tests that see whether that returns something
    ("stability/judge/reduce.py", "worst_of", "tests/judge/test_reduce.py"),
    ("stability/suite/bounds.py", "parse_bound", "tests/suite/test_bounds.py"),
    ("stability/metrics/weights/steps/norms.py", "frobenius_norm", "tests/metrics/weights/steps"),
    ("stability/gate/weights/numbers.py", "norm_of", "tests/gate/weights/test_numbers.py"),
)


@dataclass(frozen=True)
class Tried:
    """What came of a mutant, and the test that killed it."""

    outcome: Outcome
    by: str = ""
    seconds: float = 0.0
    tests: int = 0

    @property
    def is_dead(self) -> bool:
        """Whether the tests saw it."""
        return self.outcome in DEAD


class NotMutatedError(Exception):
    """The tests did not run on the mutated file, so that their outcome says nothing."""


def population(room: str) -> list[Mutant]:
    """Every mutant of a room."""
    return [
        mutant
        for file in sorted((ROOT / ROOMS[room]).rglob("*.py"))
        for mutant in mutants(str(file.relative_to(ROOT)))
    ]


def sample(room: str, count: int, seed: int) -> list[Mutant]:
    """So many mutants of a room, the same each time; a change of the code changes what it touches alone."""
    return sorted(population(room), key=lambda mutant: _place(mutant, seed))[:count]


def _place(mutant: Mutant, seed: int) -> str:
    return hashlib.sha256(f"{seed}/{mutant.key}".encode()).hexdigest()


def prove(controls: Sequence[tuple[str, str, str]] = CONTROLS) -> None:
    """That what is mutated is what is imported: of each control one mutant must die, and no mutant must live.

    Raises: NotMutatedError.
    """
    for file, function, tests in controls:
        control = run([tests], file, None, seconds=300)
        if control.loaded != module_of(file) or control.status != 0:
            raise NotMutatedError(f"{tests} fails on {file} as it is: {control.failed} {control.detail}")
        (*_, fault) = (mutant for mutant in mutants(file) if _returns_nothing(mutant, function))
        must_die = run([tests], file, fault.number, seconds=300)
        if must_die.loaded != module_of(file) or must_die.status == 0:
            raise NotMutatedError(f"{tests} passes although {function} of {file} returns nothing")


def _returns_nothing(mutant: Mutant, function: str) -> bool:
    return mutant.kind == "nothing returned" and mutant.scope == function


def attempt(mutant: Mutant, cover: Cover) -> Tried:
    """Run the tests that touch a mutant.

    Raises: NotMutatedError.
    """
    tests = cover.tests_of(mutant)
    if not tests:
        return Tried("untested")
    limit = 10 + 2 * sum(cover.seconds[test] for test in tests)
    found = run(tests, mutant.file, mutant.number, seconds=limit)
    if found.status is None:
        return Tried("out of time", found.detail.partition("\n")[0], found.seconds, len(tests))
    if found.loaded != module_of(mutant.file):
        raise NotMutatedError(f"{mutant.file} was not what {tests} imported: {found.detail}")
    if found.status == 0:
        return Tried("survived", "", found.seconds, len(tests))
    by = found.failed[0] if found.failed else f"pytest's status {found.status}: {found.detail[-200:]}"
    return Tried("killed", by, found.seconds, len(tests))


class Campaign:
    """What came of each mutant, in a file from which an interrupted campaign goes on."""

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self.tried: dict[str, Tried] = {}
        if file is not None and file.exists():
            content = json.loads(file.read_text(encoding="utf-8"))
            self.tried = {key: Tried(**one) for key, one in content.items()}

    def run(self, chosen: list[Mutant], cover: Cover, say: Callable[[Mutant, Tried], None]) -> None:
        """Try those that have not been tried."""
        for mutant in chosen:
            if mutant.key not in self.tried:
                self.tried[mutant.key] = attempt(mutant, cover)
                self.save()
                say(mutant, self.tried[mutant.key])

    def forget(self, chosen: list[Mutant]) -> None:
        """Those that survived are to be tried again."""
        for mutant in chosen:
            if mutant.key in self.tried and not self.tried[mutant.key].is_dead:
                del self.tried[mutant.key]

    def check_killers(self, chosen: list[Mutant]) -> list[str]:
        """The killing tests that fail without a fault, too, so that they prove nothing."""
        deaths = [self.tried[mutant.key] for mutant in chosen if mutant.key in self.tried]
        killers = sorted({one.by for one in deaths if one.outcome == "killed" and "::" in one.by})
        failing: list[str] = []
        while killers:
            found = run(killers, seconds=1200)
            if found.status == 0:
                break
            if found.status is None or not found.failed:
                raise NotMutatedError(f"the killing tests do not run on the code as it is: {found.detail}")
            failing += found.failed
            killers = [test for test in killers if test not in found.failed]
        return failing

    def save(self) -> None:
        """Write the file, if there is one."""
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps({key: vars(one) for key, one in self.tried.items()}, indent=0) + "\n")
            part.replace(self._file)
