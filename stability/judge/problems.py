"""Why there is no verdict on a value: a problem, and the exceptions that carry it through a step."""

from __future__ import annotations

from stability.record import Problem


class Unjudged(Exception):  # noqa: N818
    """There is no value to hold against the bound; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class CannotJudge(Unjudged):
    """The check cannot be judged. Becomes an `error`."""


class NothingSelected(Unjudged):
    """The check looks at nothing here, and that is no fault. Becomes a `skip`."""
