"""Why a check did not hold, in plain words: what its value means, what papers report, and what to try."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from stability.errors import UsageError
from stability.judge import Judgement, Status, Verdict
from stability.record import Record
from stability.report.explain.documents import documents, ways_to_decide
from stability.report.explain.errors import advice_on
from stability.report.explain.evidence import Evidence
from stability.report.explain.explanation import Explanation, Remedy
from stability.report.explain.index import Index
from stability.report.explain.remedies import REMEDIES
from stability.report.explain.steps.procedure import remake, versions
from stability.report.explain.suggestion import Suggestion, by_what_was_measured
from stability.report.explain.texts import TEXTS, Side, Text
from stability.report.steps import wording
from stability.suite.metrics import head_of, measured_by

__all__ = ["EXPLAINED", "Explanation", "Index", "Remedy", "explain", "explain_in", "explanation_lines"]

EXPLAINED: tuple[Status, ...] = ("fail", "error", "warn", "inconclusive")
MOST = 6  # remedies
WIDTH = 100
LINES = 7
UNSURE = 0.05  # the probability that chance looks like this, from which on nothing is said of the model
AGAINST = {
    ("base", "ratio"): ", as a multiple of what it was before editing",
    ("base", "absolute"): ", less what it was before editing",
    ("base", "relative"): ": its change since before editing, as a share of it",
    ("unedited", "ratio"): ", as a multiple of the median in layers that nobody edited",
    ("unedited", "absolute"): ", less the median in layers that nobody edited",
    ("unedited", "relative"): ": its distance from the median in layers that nobody edited, as a share of it",
    (
        "previous",
        "ratio",
    ): ", as a multiple of what an earlier version (the baseline) had after as many edits",
    ("previous", "absolute"): ", less what an earlier version (the baseline) had after as many edits",
    ("previous", "relative"): ": its distance from an earlier version's (the baseline's), as a share of it",
}


def explain(record: Record, judgement: Judgement, verdict: Verdict) -> Explanation | None:
    """What a single verdict means and what to try; of several, `explain_in` takes less time."""
    return explain_in(Index(record, judgement), verdict)


def explain_in(index: Index, verdict: Verdict) -> Explanation | None:
    """What a verdict means and what to try; None for one that passed or was skipped.

    `verdict` belongs to the judgement, and the judgement to the record. Names are those of the record and
    have to be escaped when shown.
    """
    if verdict.status not in EXPLAINED:
        return None
    evidence = Evidence(index, verdict)
    text = TEXTS.get(verdict.metric) or _from_head(verdict.metric)
    side = {"high": text.high, "low": text.low, "unknown": None}[evidence.side]
    if verdict.status == "error":
        advice = advice_on(evidence)
        suggestions = [made for make in advice.remedies if (made := make(evidence))]
        meaning = f"It could not be measured, and a gate does not pass what it cannot see. {advice.means}"
        return _explanation(evidence, meaning, None, suggestions)
    figure = f"This is {text.figure}{AGAINST.get((verdict.relative_to or '', verdict.change or ''), '')}."
    suggestions = list(_suggestions(evidence, side))
    if evidence.is_unsure:
        suggestions = [*ways_to_decide(evidence), *suggestions]
    return _explanation(evidence, f"{figure} {_means(evidence, side)}", side, suggestions)


def _from_head(metric: str) -> Text:
    """The text of a metric that has no entry: its summary, if the metric is installed here."""
    try:
        head = head_of(metric)
    except UsageError:
        head = None
    if head is None:
        return Text(f"the figure {wording.clean(metric)}")
    unit = f", in {wording.clean(head.unit)}" if head.unit else ""
    return Text(f"{wording.clean(metric)}, {wording.clean(head.summary)}{unit}")


def explanation_lines(explanation: Explanation, width: int = WIDTH, most: int = LINES) -> list[str]:
    """The meaning, and below it at least one remedy and as many as fit in the lines; plain text."""
    lines = _filled("means: ", explanation.meaning, width)
    for number, remedy in enumerate(explanation.remedies):
        words = "; ".join(part for part in (remedy.words, remedy.effect) if part)
        more = _filled("try:   " if number == 0 else "or:    ", words, width)
        if remedy.command:
            more.append(f"       {wording.clean(remedy.command)}")  # a command is copied, so it is not broken
        if number and len(lines) + len(more) > most:
            break
        lines += more
    return lines


def _means(evidence: Evidence, side: Side | None) -> str:
    """The second sentence: what it means that the value is past the bound."""
    verdict = evidence.verdict
    if evidence.is_unsure:
        asked = documents(evidence)
        said = f"{asked:,} documents do" if asked else "its documents do"
        counts = "" if verdict.status == "inconclusive" else ", and the suite counts that as failed"
        return f"It is past the bound, but {said} not tell that from chance{counts}."
    if verdict.interval is None and (verdict.noise.by_chance or 0.0) > UNSURE:
        return "It is past the bound, but its documents do not tell that from chance (no `noise`)."
    if _is_nan(verdict):
        return "It is not a number: the model is broken, or there was nothing to measure it on."
    if verdict.relative_to == "previous":
        return "This version is further from the earlier one than the suite allows."
    if evidence.method.family == "control" and measured_by(verdict.metric) != "clock":
        return "The editor is the control, which edits nothing, so that this says nothing of any other."
    if side is None:
        return f"It is {'larger' if evidence.side == 'high' else 'smaller'} than the suite allows."
    means = side.unedited if side.unedited and verdict.relative_to == "unedited" else side.means
    if verdict.interval is not None:
        means = f"Beyond chance, {means[0].lower()}{means[1:]}"
    return means


def _is_nan(verdict: Verdict) -> bool:
    return verdict.value is not None and math.isnan(verdict.value)


def _suggestions(evidence: Evidence, side: Side | None) -> Iterator[Suggestion]:
    names = side.remedies if side else ()
    if _is_nan(evidence.verdict) and (broken := TEXTS["nonfinite"].high):
        names = broken.remedies
    if evidence.method.family == "control" and measured_by(evidence.verdict.metric) != "clock":
        names = ("control",)
    found = [made for name in names if (made := REMEDIES[name](evidence))]
    measured = by_what_was_measured(evidence, found) if names and names != ("control",) else None
    found += [measured] if measured else []
    for first in (versions(evidence), remake(evidence) if names and "remake" not in names else None):
        found[:0] = [first] if first else []
    yield from sorted(found, key=lambda suggestion: suggestion.order)


def _explanation(
    evidence: Evidence, meaning: str, side: Side | None, suggestions: list[Suggestion]
) -> Explanation:
    remedies = [suggestion.remedy(evidence) for suggestion in _most_telling(suggestions)]
    seen = side.seen if side else ""
    return Explanation(meaning, seen, tuple(remedies))


def _most_telling(suggestions: list[Suggestion]) -> list[Suggestion]:
    """The first remedies, and also every one that was run in the record, since its effect is known."""
    guesses = [suggestion for suggestion in suggestions if suggestion.other is None]
    dropped = guesses[max(0, len(guesses) - max(0, len(suggestions) - MOST)) :]
    return [suggestion for suggestion in suggestions if suggestion not in dropped]


def _filled(label: str, text: str, width: int) -> list[str]:
    indent = " " * len(label)
    return textwrap.wrap(
        wording.clean(text), width, initial_indent=label, subsequent_indent=indent, break_on_hyphens=False
    )
