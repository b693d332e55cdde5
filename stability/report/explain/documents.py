"""What would settle a check that chance may explain: how many documents it takes, and what else there is."""

from __future__ import annotations

import math
from collections.abc import Iterator

from stability.judge.noise.tasks import leaves
from stability.judge.problems import CannotJudge
from stability.report.explain.evidence import Situation, is_number
from stability.report.explain.suggestion import Attempt, by_suite
from stability.report.steps import wording
from stability.suite import parse_bound


def settling(s: Situation) -> Iterator[Attempt]:
    """More documents, fewer comparisons, or a decision."""
    yield _more_documents(s, documents_to_settle(s))
    compared = sum(len(seed.points) for seed in s.verdict.seeds)
    if compared > 1:
        last = max((run.edits for run in s.editor.runs), default=0)
        yield Attempt(
            f"compare less: only after the last edit (`at: {last}`) or fewer tasks in the check; the "
            "intervals, which are widened for every comparison, get narrower"
        )
    yield Attempt(
        "or decide, in the suite: `noise: {on_inconclusive: fail}` or `warn`, or a bound that allows such "
        "a drop"
    )


def seeing_more(s: Situation) -> Attempt:
    """The documents that it takes to detect what `max_detectable` asks for."""
    return _more_documents(s, documents_to_detect(s))


def documents(s: Situation) -> int | None:
    """How many documents the task has that the verdict is about; None if the record does not tell."""
    reading = s.record.base.readings.get(s.verdict.metric)
    if reading is None or not s.verdict.key:
        return None
    try:
        return sum(reading.tasks[name].n for name in leaves(s.verdict.key, reading))
    except CannotJudge:
        return None


def documents_to_settle(s: Situation) -> int | None:
    """How many would put the whole interval past the bound, if the drop is what it looks like.

    An interval narrows with the root of the number of documents. None if there is no telling.
    """
    v, asked = s.verdict, documents(s)
    if asked is None or v.value is None or v.interval is None:
        return None
    beyond = parse_bound(v.bound).low - v.value
    reach = v.interval[1] - v.value
    return _about(asked * (reach / beyond) ** 2) if beyond > 0 and reach > beyond else None


def documents_to_detect(s: Situation) -> int | None:
    """How many would show a drop of `max_detectable`; None if there is no telling."""
    v, asked = s.verdict, documents(s)
    spec = s.again.file.spec.checks.get(v.name) if s.again else None
    wanted = spec.noise.max_detectable if spec and spec.noise else None
    tolerance = -parse_bound(v.bound).low
    if asked is None or v.detects is None or wanted is None or not tolerance < wanted < v.detects < math.inf:
        return None
    return _about(asked * ((v.detects - tolerance) / (wanted - tolerance)) ** 2)


def _more_documents(s: Situation, wanted: int | None) -> Attempt:
    asked, limit = documents(s), s.suite("tasks", "limit")
    goal = f": about {wanted:,} would do, if the drop is what it looks like" if wanted else ""
    goal = goal if s.verdict.status != "error" else goal.partition(", if")[0]
    if is_number(limit) and asked:
        words = f"ask more documents of the task than {asked:,} (tasks.limit){goal}"
        return by_suite(s, f"tasks.limit={max(wanted or 0, 2 * int(limit))}", words)
    of = f"all {asked:,} documents" if asked else "all its documents"
    shown = (
        f"; {of} show no drop below {wording.number(s.verdict.detects, digits=2)}"
        if s.verdict.detects
        else ""
    )
    return Attempt(f"take a task with more documents{goal}{shown}")


def _about(count: float) -> int | None:
    """Rounded up to two digits; None where no data set has so many."""
    if not math.isfinite(count) or count > 1e6:
        return None
    step: int = 10 ** max(0, len(str(int(count))) - 2)
    return math.ceil(round(count / step, 6)) * step
