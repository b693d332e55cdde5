"""Remedies that wrap an editor, or that change a setting of its wrapper."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from stability.judge.compare import unedited_medians
from stability.judge.problems import CannotJudge, NothingSelected
from stability.judge.select import edited_model
from stability.report.explain.evidence import Evidence, is_number, number_or, rounded
from stability.report.explain.suggestion import Suggestion, by_wrapping, command
from stability.suite import parse_bound

USUAL_RATIO = 1.5  # the wrapper's own default
ROOM = 0.95  # a constraint is set to this share of the bound
USUAL_EVERY = 10


def frobenius(e: Evidence) -> Suggestion | None:
    """A limit on the norm, below the check's bound if the check is about the norm."""
    ratio = _ratio(e)
    if ratio is None:
        return None

    def words(settings: Mapping[str, Any]) -> str:
        most = number_or(settings.get("max_ratio"), USUAL_RATIO)
        return (
            f"bound the norm: frobenius({e.called}) scales each edited matrix back to {most:g} times its "
            "first norm; a bound alone mends nothing, so see that edits take and tasks hold"
        )

    given = {} if ratio == USUAL_RATIO else {"max_ratio": ratio}
    return by_wrapping(e, "frobenius", words, **given)


def tighter(e: Evidence) -> Suggestion | None:
    """A lower limit, if the editor has one already."""
    ratio = _ratio(e)
    now = e.method.settings.get("max_ratio")
    if e.method.name != "frobenius" or ratio is None or not is_number(now) or ratio >= now:
        return None
    return _of_wrapper(e, "max_ratio", ratio, f"tighten the bound: max_ratio {ratio:g} in place of {now:g}")


def reset(e: Evidence) -> Suggestion | None:
    """Restoring the first norm at an interval shorter than the number of edits at which the check failed."""

    def words(settings: Mapping[str, Any]) -> str:
        every = number_or(settings.get("every"), USUAL_EVERY)
        return (
            f"reset the norm: reset({e.called}) scales edited matrices to their first norm every "
            f"{every:g} edits"
        )

    every = min(USUAL_EVERY, e.verdict.held_to or USUAL_EVERY)
    return by_wrapping(e, "reset", words, **({} if every == USUAL_EVERY else {"every": every}))


def sphere(e: Evidence) -> Suggestion | None:
    """SPHERE."""
    return by_wrapping(
        e, "sphere", lambda _: f"keep changes out of the matrix's main directions: sphere({e.called})"
    )


def revive(e: Evidence) -> Suggestion | None:
    """REVIVE."""
    return by_wrapping(e, "revive", lambda _: f"spare the matrix's strongest directions: revive({e.called})")


def rect(e: Evidence) -> Suggestion | None:
    """RECT."""
    words = f"change less: rect({e.called}) makes only the relatively largest part of each change"
    return by_wrapping(e, "rect", lambda _: words)


def prune(e: Evidence) -> Suggestion | None:
    """PRUNE."""
    words = f"hold down the strongest directions of the change: prune({e.called})"
    return by_wrapping(e, "prune", lambda _: words)


def relax(e: Evidence) -> Suggestion | None:
    """A looser setting of a wrapper that may keep edits from working."""
    restraint = e.method.head.holds_back
    if e.method.inside is None or restraint is None:
        return None
    key, now = restraint.setting, e.method.settings.get(restraint.setting)
    if not is_number(now):
        return None
    relaxed = restraint.relaxed(now)
    then = relaxed if isinstance(now, int) else rounded(relaxed)
    words = f"give edits more room: {e.method.name}'s {key} {then:g} in place of {now:g}"
    return _of_wrapper(e, key, then, words)


def _of_wrapper(e: Evidence, key: str, value: float, words: str) -> Suggestion:
    """A changed setting of the outermost wrapper."""
    outer = e.method.name
    made = command(e, lambda rerun, entry: rerun.run(entry.called, f"{entry.label or outer}.{key}={value:g}"))
    return Suggestion(words, made)


def _ratio(e: Evidence) -> float | None:
    """The limit for `frobenius`: the usual one, or less if the check needs it; None if it cannot help."""
    v = e.verdict
    high = parse_bound(v.bound).high
    if (
        v.metric != "weight_norm"
        or v.change != "ratio"
        or not math.isfinite(high)
        or v.relative_to == "previous"
    ):
        return USUAL_RATIO
    start = _first_imbalance(e) if v.relative_to == "unedited" else 1.0
    ratio = math.floor(100 * ROOM * high / start) / 100
    return min(USUAL_RATIO, ratio) if ratio > 1 else None


def _first_imbalance(e: Evidence) -> float:
    """How much larger than the unedited layers' the matrix was before any edit."""
    reading = e.record.base.readings.get(e.verdict.metric)
    if reading is None or e.verdict.key not in reading.values:
        return 1.0
    try:
        median = unedited_medians(reading, edited_model(e.record.model, e.runs[0].edited)).get(e.verdict.key)
    except (CannotJudge, NothingSelected):
        return 1.0
    return reading.values[e.verdict.key] / median if median else 1.0
