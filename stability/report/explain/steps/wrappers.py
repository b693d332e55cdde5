"""Remedies that go round an editor, or that change how the wrapper round it holds it back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from stability.judge.compare import unedited_medians
from stability.judge.problems import CannotJudge, NothingSelected
from stability.judge.select import edited_model
from stability.report.explain.evidence import Situation, is_number, number_or, rounded
from stability.report.explain.suggestion import Attempt, by_wrapping, command
from stability.suite import parse_bound

USUAL_RATIO = 1.5  # the wrapper's own default
ROOM = 0.95  # of the bound that a constraint leaves unused
USUAL_EVERY = 10


def frobenius(s: Situation) -> Attempt | None:
    """A bound on the norm, below that of the check where it is about the norm."""
    ratio = _ratio(s)
    if ratio is None:
        return None

    def words(settings: Mapping[str, Any]) -> str:
        most = number_or(settings.get("max_ratio"), USUAL_RATIO)
        return (
            f"bound the norm: frobenius({s.called}) scales each edited matrix back to {most:g} times its "
            "first norm; a bound alone mends nothing, so see that edits take and tasks hold"
        )

    given = {} if ratio == USUAL_RATIO else {"max_ratio": ratio}
    return by_wrapping(s, "frobenius", words, **given)


def tighter(s: Situation) -> Attempt | None:
    """A smaller bound, where the editor has one already."""
    ratio = _ratio(s)
    now = s.method.settings.get("max_ratio")
    if s.method.name != "frobenius" or ratio is None or not is_number(now) or ratio >= now:
        return None
    return _of_wrapper(s, "max_ratio", ratio, f"tighten the bound: max_ratio {ratio:g} in place of {now:g}")


def reset(s: Situation) -> Attempt | None:
    """The first norm restored every so often, before the check failed."""

    def words(settings: Mapping[str, Any]) -> str:
        every = number_or(settings.get("every"), USUAL_EVERY)
        return (
            f"reset the norm: reset({s.called}) scales edited matrices to their first norm every "
            f"{every:g} edits"
        )

    every = min(USUAL_EVERY, s.verdict.held_to or USUAL_EVERY)
    return by_wrapping(s, "reset", words, **({} if every == USUAL_EVERY else {"every": every}))


def sphere(s: Situation) -> Attempt | None:
    """SPHERE."""
    return by_wrapping(
        s, "sphere", lambda _: f"keep changes out of the matrix's main directions: sphere({s.called})"
    )


def revive(s: Situation) -> Attempt | None:
    """REVIVE."""
    return by_wrapping(s, "revive", lambda _: f"spare the matrix's strongest directions: revive({s.called})")


def rect(s: Situation) -> Attempt | None:
    """RECT."""
    words = f"change less: rect({s.called}) makes only the relatively largest part of each change"
    return by_wrapping(s, "rect", lambda _: words)


def prune(s: Situation) -> Attempt | None:
    """PRUNE."""
    words = f"hold down the strongest directions of the change: prune({s.called})"
    return by_wrapping(s, "prune", lambda _: words)


def relax(s: Situation) -> Attempt | None:
    """More room, where a wrapper may be what keeps edits from taking."""
    restraint = s.method.head.holds_back
    if s.method.inside is None or restraint is None:
        return None
    key, now = restraint.setting, s.method.settings.get(restraint.setting)
    if not is_number(now):
        return None
    relaxed = restraint.relaxed(now)
    then = relaxed if isinstance(now, int) else rounded(relaxed)
    words = f"give edits more room: {s.method.name}'s {key} {then:g} in place of {now:g}"
    return _of_wrapper(s, key, then, words)


def _of_wrapper(s: Situation, key: str, value: float, words: str) -> Attempt:
    """A setting of the outermost wrapper changed."""
    outer = s.method.name
    made = command(s, lambda again, entry: again.run(entry.called, f"{entry.label or outer}.{key}={value:g}"))
    return Attempt(words, made)


def _ratio(s: Situation) -> float | None:
    """The bound for `frobenius`: the usual one, or less if the check asks for less; None: it cannot help."""
    v = s.verdict
    high = parse_bound(v.bound).high
    if (
        v.metric != "weight_norm"
        or v.change != "ratio"
        or not math.isfinite(high)
        or v.relative_to == "previous"
    ):
        return USUAL_RATIO
    start = _first_imbalance(s) if v.relative_to == "unedited" else 1.0
    ratio = math.floor(100 * ROOM * high / start) / 100
    return min(USUAL_RATIO, ratio) if ratio > 1 else None


def _first_imbalance(s: Situation) -> float:
    """How much larger than the unedited layers' the matrix was before any edit."""
    reading = s.record.base.readings.get(s.verdict.metric)
    if reading is None or s.verdict.key not in reading.values:
        return 1.0
    try:
        median = unedited_medians(reading, edited_model(s.record.model, s.runs[0].edited)).get(s.verdict.key)
    except (CannotJudge, NothingSelected):
        return 1.0
    return reading.values[s.verdict.key] / median if median else 1.0
