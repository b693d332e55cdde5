"""What a check is: a named function over a case, and the checks that must pass for it to tell anything."""

from __future__ import annotations

import inspect
import unittest
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from stability.testing.case import Case

Status = Literal["pass", "fail", "skip"]
Function = Callable[["Case"], str | None]


class CheckFailed(AssertionError):  # noqa: N818  (what a check says, no error of the program)
    """The editor does not do what the check asks; the message says what it did instead, in one line."""


class CheckSkipped(unittest.SkipTest):
    """The check cannot be made; the message says why. pytest and unittest count it as a skip."""


@dataclass(frozen=True)
class Check:
    """One check. `function` returns a word on what it saw, or nothing; or raises one of the two above.

    Unless every check in `requires` passes, this one is skipped: what it saw would say nothing.
    """

    name: str
    summary: str
    function: Function
    requires: tuple[str, ...]


@dataclass(frozen=True)
class CheckResult:
    """How a check ended: `reason` is one line, and a skip always has one."""

    name: str
    status: Status
    reason: str
    seconds: float


def check(*requires: str) -> Callable[[Function], Check]:
    """Make a check of a function; its name and the first line of its docstring are shown."""

    def made(function: Function) -> Check:
        summary = (inspect.getdoc(function) or "").split("\n\n", maxsplit=1)[0].replace("\n", " ")
        return Check(function.__name__, summary, function, requires)

    return made
