"""The exceptions with which a step says that a value cannot be judged; each has a problem."""

from __future__ import annotations

from stability.record import Problem


class Unjudged(Exception):  # noqa: N818
    """There is no value to check against the bound; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class CannotJudge(Unjudged):
    """The check cannot be judged. The verdict is `error`."""


class NothingSelected(Unjudged):
    """The check has nothing to look at, and this is not an error. The verdict is `skip`."""
