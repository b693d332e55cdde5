"""Remedies for an inconclusive check: how many documents it would need, and other ways to decide it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist

from stability.judge.noise.drops import POWER
from stability.judge.noise.tasks import leaves
from stability.judge.problems import CannotJudge
from stability.report.explain.evidence import Evidence, is_number
from stability.report.explain.suggestion import Suggestion, by_suite
from stability.report.steps import wording
from stability.suite import parse_bound

NORMAL = NormalDist()


def ways_to_decide(e: Evidence) -> Iterator[Suggestion]:
    """Suggest more documents, fewer comparisons, or a decision in the suite."""
    yield _more_documents(e, documents_to_settle(e))
    compared = sum(len(seed.points) for seed in e.verdict.seeds)
    if compared > 1:
        last = max((run.edits for run in e.editor.runs), default=0)
        yield Suggestion(
            f"compare less: only after the last edit (`at: {last}`) or fewer tasks in the check; the "
            "intervals, which are widened for every comparison, get narrower"
        )
    yield Suggestion(
        "or decide, in the suite: `noise: {on_inconclusive: fail}` or `warn`, or a bound that allows such "
        "a drop"
    )


def seeing_more(e: Evidence) -> Suggestion:
    """Suggest enough documents to detect a drop of `max_detectable`."""
    return _more_documents(e, documents_to_detect(e))


def documents(e: Evidence) -> int | None:
    """The number of documents of the verdict's task; None if it is not in the record."""
    reading = e.record.base.readings.get(e.verdict.metric)
    if reading is None or not e.verdict.key:
        return None
    try:
        return sum(reading.tasks[name].n for name in leaves(e.verdict.key, reading))
    except CannotJudge:
        return None


def documents_to_settle(e: Evidence) -> int | None:
    """The number of documents that would put the whole interval past the bound four times in five.

    That is if the true drop is what was measured. An interval narrows with the root of the number of
    documents. None if it cannot be estimated.
    """
    v, asked = e.verdict, documents(e)
    if asked is None or v.value is None or v.interval is None or v.noise.level is None:
        return None
    beyond = parse_bound(v.bound).low - v.value
    reach = v.interval[1] - v.value
    if v.noise.level < 0.5:
        reach *= 1 + NORMAL.inv_cdf(POWER) / NORMAL.inv_cdf(1 - v.noise.level)
    return _about(asked * (reach / beyond) ** 2) if beyond > 0 and reach > beyond else None


def documents_to_detect(e: Evidence) -> int | None:
    """The number of documents that would show a drop of `max_detectable`; None if it cannot be estimated."""
    enough = e.verdict.noise.documents_to_detect
    return None if enough is None else _about(enough)


def _more_documents(e: Evidence, wanted: int | None) -> Suggestion:
    asked, limit = documents(e), e.suite("tasks", "limit")
    proviso = "" if e.verdict.status == "error" else ", if the drop is what it looks like"
    goal = f": about {wanted:,} would do{proviso}" if wanted else ""
    if is_number(limit) and asked:
        words = f"ask more documents of the task than {asked:,} (tasks.limit){goal}"
        return by_suite(e, f"tasks.limit={max(wanted or 0, 2 * int(limit))}", words)
    of = f"all {asked:,} documents" if asked else "all its documents"
    shown = (
        f"; {of} show no drop below {wording.number(e.verdict.detects, digits=2)}"
        if e.verdict.detects
        else ""
    )
    return Suggestion(f"take a task with more documents{goal}{shown}")


def _about(count: float) -> int | None:
    """The count rounded up to two digits; None if no data set has that many documents."""
    if not math.isfinite(count) or count > 1e6:
        return None
    step: int = 10 ** max(0, len(str(int(count))) - 2)
    return math.ceil(round(count / step, 6)) * step
