"""Making checks of an editor, each once, in their order; a check that rests on another waits for it."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stability.errors import StabilityError, UsageError
from stability.testing.check import Check, CheckFailed, CheckResult, CheckSkipped, Status

if TYPE_CHECKING:
    from stability.testing.case import Case


@dataclass
class Examiner:
    """Makes checks of one editor, each once; the model is loaded when the first is made."""

    make: Callable[[], Case]
    _case: Case | None = None
    _results: dict[str, CheckResult] = field(default_factory=dict)

    @property
    def case(self) -> Case:
        """The case, loaded when it is first asked for."""
        if self._case is None:
            self._case = self.make()
        return self._case

    def result(self, name: str) -> CheckResult:
        """How the check of that name ends."""
        if name not in self._results:
            started = time.perf_counter()
            status, reason = self._outcome(all_checks()[name])
            self._results[name] = CheckResult(name, status, reason, time.perf_counter() - started)
        return self._results[name]

    def raise_for(self, name: str) -> None:
        """Do nothing if the check passes.

        Raises:
            CheckFailed: it fails.
            CheckSkipped: it cannot be made.
        """
        result = self.result(name)
        if result.status == "fail":
            raise CheckFailed(f"{name}: {result.reason}")
        if result.status == "skip":
            raise CheckSkipped(result.reason)

    def _outcome(self, check: Check) -> tuple[Status, str]:
        for name in check.requires:
            needed = self.result(name)
            if needed.status == "fail":
                return "skip", f"cannot be told: {name} fails"
            if needed.status == "skip":
                told = "" if "cannot be told" in needed.reason else f"cannot be told: {name}: "
                return "skip", told + needed.reason
        try:
            return "pass", check.function(self.case) or ""
        except CheckFailed as failure:
            return "fail", str(failure)
        except CheckSkipped as skipped:
            return "skip", str(skipped)
        except StabilityError as error:
            return "skip", f"cannot be made: {error}"


def all_checks() -> Mapping[str, Check]:
    """Every check by name, in the order in which they are made."""
    from stability.testing.checks import CHECKS

    return CHECKS


def chosen_checks(checks: Collection[str] = (), skip: Collection[str] = ()) -> tuple[str, ...]:
    """The names of all checks, or of those given, without those to be skipped; in the order of all.

    Raises:
        UsageError: there is no check of a name.
    """
    known = all_checks()
    for name in (*checks, *skip):
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}? " if close else ""
            raise UsageError(f"no check is called {name!r}; {hint}the checks are {', '.join(known)}")
    return tuple(name for name in known if (not checks or name in checks) and name not in skip)
