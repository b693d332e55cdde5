"""The third step: from many values to the one that is checked against the bound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from stability.judge.compare import ComparedValues
from stability.judge.inputs import Assertion, RecordedRun
from stability.judge.problems import NothingSelected
from stability.record import Problem
from stability.suite import Bound

Outcome = Literal["held", "failed", "inconclusive", "error", "nothing"]
PLURALS = {
    "matrix": "matrices",
    "layer": "blocks",
    "pair": "pairs",
    "parameter": "parameters",
    "task": "tasks",
}


@dataclass(frozen=True)
class DropTest:
    """The test of one drop on its documents.

    `low` and `high` are one-sided limits of the change; `detects` is the smallest drop that would have been
    found with a probability of 0.8; `flip_rate` the share of documents whose answer changed. `level` is that
    of each limit. Further see `NoiseFigures`.
    """

    outcome: Literal["held", "failed", "inconclusive"]
    change: float
    low: float
    high: float
    p_value: float
    detects: float
    flip_rate: float
    n: int
    level: float
    by_chance: float | None = None
    false_failures: float | None = None
    documents_to_detect: float | None = None
    fails_inconclusive: bool = False


@dataclass(frozen=True)
class UntestedDrop:
    """What chance has to do with a drop past the bound, in a check without `noise`.

    `low` and `high` are 95 % limits, each one-sided. With no true drop anywhere, `by_chance` is the
    probability that any of the check's values is as low.
    """

    n: int
    low: float
    high: float
    by_chance: float


@dataclass(frozen=True, eq=False)
class PointResult:
    """An assertion at one checkpoint of one run: the value that decides it, and the outcome.

    `key` is the value's key in the record, `where` the same for people. Without a value, the outcome is
    `error` or `nothing`, and `problem` says why. `drop` is set if the check tests for noise; `detects` is
    then the worst over all of its tasks, and `shown_to_hold` whether the limits of all are inside the bound.
    `untested` is the drop that failed a check which does not test for noise.
    """

    assertion: Assertion
    run: RecordedRun
    edits: int
    outcome: Outcome
    value: float | None = None
    key: str = ""
    where: str = ""
    problem: Problem | None = None
    coverage: str = ""
    compared: ComparedValues | None = None
    drop: DropTest | None = None
    detects: float | None = None
    shown_to_hold: bool | None = None
    untested: UntestedDrop | None = None

    @classmethod
    def error(cls, assertion: Assertion, run: RecordedRun, edits: int, problem: Problem) -> PointResult:
        """The result of an assertion that could not be judged."""
        return cls(assertion, run, edits, "error", problem=problem)

    def without_value(self, problem: Problem) -> PointResult:
        """The same result as an error, without its value."""
        return PointResult.error(self.assertion, self.run, self.edits, problem)

    def as_error(self, problem: Problem) -> PointResult:
        """The same result; as an error, if it is `nothing`."""
        return replace(self, outcome="error", problem=problem)


@dataclass(frozen=True)
class Worst:
    """The value that decides, its key ("" for an aggregate of several), and whether the bound accepts it."""

    value: float
    key: str
    holds: bool


def reduce(compared: ComparedValues) -> PointResult:
    """The value that decides, and whether the bound accepts it; noise is not considered here."""
    selection = compared.selection
    assertion, run, edits = selection.assertion, selection.run, selection.edits
    if compared.unjudged is not None or selection.reading is None:
        is_skip = isinstance(compared.unjudged, NothingSelected)
        problem = compared.unjudged.problem if compared.unjudged else None
        return PointResult(assertion, run, edits, "nothing" if is_skip else "error", problem=problem)
    how, bound = assertion.check.aggregate, assertion.check.bound
    scale = compared.scale
    worst = aggregate(compared.values, how, bound, scale) if how else worst_of(compared.values, bound, scale)
    return PointResult(
        assertion=assertion,
        run=run,
        edits=edits,
        outcome="held" if worst.holds else "failed",
        value=worst.value,
        key=worst.key,
        where=selection.places.get(worst.key, ""),
        coverage=coverage(selection.reading.over, compared, how),
        compared=compared,
    )


def worst_of(values: Mapping[str, float], bound: Bound, scale: float = 0.0) -> Worst:
    """The value farthest outside the bound, or closest to its end if all are inside; the first of equals.

    If all are equal and there are several, the key is "".
    """
    key = min(values, key=lambda key: bound.reach(values[key]))
    if len(values) > 1 and len(set(values.values())) == 1:
        return Worst(values[key], "", bound.accepts(values[key], scale))
    return Worst(values[key], key, bound.accepts(values[key], scale))


def aggregate(values: Mapping[str, float], how: str, bound: Bound, scale: float = 0.0) -> Worst:
    """One value from all: `max`, `min`, `mean`, `median` or a quantile such as `q05` (linear).

    If any value is not finite, the aggregate is NaN, which no bound accepts, with the key of that value.
    """
    for key, value in values.items():
        if not math.isfinite(value):
            return Worst(math.nan, key, holds=False)
    if how in ("max", "min"):
        key = (max if how == "max" else min)(values, key=values.__getitem__)
        return Worst(values[key], key, bound.accepts(values[key], scale))
    numbers = np.array(list(values.values()), dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if how == "mean":
            value = float(numbers.mean())
        elif how == "median":
            value = float(np.median(numbers))
        else:
            value = float(np.quantile(numbers, int(how[1:]) / 100))
    key = next(iter(values)) if len(values) == 1 else ""
    return Worst(value, key, bound.accepts(value, scale))


def coverage(over: str, compared: ComparedValues, how: str | None) -> str:
    """`mean of 27 pairs; 1 left out (base 0.93)`, `on 1,365 of 1,998 positions`; "" for the worst of all."""
    looked_at, left_out = len(compared.values), compared.left_out
    parts = []
    if left_out or (how is not None and looked_at > 1):
        parts.append(f"{how or 'worst'} of {looked_at} {PLURALS.get(over, 'values')}")
    if left_out:
        which = f": {', '.join(left_out)}" if over == "task" else ""
        parts.append(f"{len(left_out)} left out ({next(iter(left_out.values())).message}{which})")
    reading = compared.selection.reading
    if reading is not None and (sample := reading.sample) is not None:
        parts.append(f"on {sample.measured:,} of {sample.of:,} {sample.what}")
    results = (
        [] if reading is None else [reading.tasks[key] for key in compared.values if key in reading.tasks]
    )
    if cut := sum(result.truncated for result in results):
        documents = sum(result.n for result in results)
        parts.append(f"{cut:,} of {documents:,} documents cut to the model's context")
    return "; ".join(parts)
