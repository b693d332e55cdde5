"""How the same check went for other editors of the record, so that a remedy that was run has evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stability.judge import Verdict
from stability.report.explain.evidence import Evidence
from stability.report.explain.index import TOOK, EditorCheck, margin
from stability.report.explain.method import Method
from stability.report.steps import wording

SAID = {"pass": "held", "fail": "failed, too", "warn": "warned, too", "inconclusive": "inconclusive"}


@dataclass(frozen=True)
class OtherEditor:
    """Another editor of the record, and how the same check went for it.

    `price` is a check that failed for it and held, or failed by less, for the editor explained.
    """

    checked: EditorCheck
    price: Verdict | None = None

    @property
    def label(self) -> str:
        """Its label in the judgement."""
        return self.checked.label

    @property
    def method(self) -> Method:
        """Its method."""
        return self.checked.method

    @property
    def held(self) -> bool:
        """Whether the check held, and not because the editor did nothing."""
        return self.checked.held

    @property
    def is_better(self) -> bool:
        """Whether it held, without another check getting worse."""
        return self.held and self.price is None


def better_editors(evidence: Evidence) -> Iterator[OtherEditor]:
    """The other editors for which the same check held at no price, the best first."""
    for other in _others(evidence, evidence.index.by_check.get(evidence.verdict.check, ())):
        if not other.held:
            return
        if other.is_better:
            yield other


def best_with(evidence: Evidence, name: str, inside: Method | None = None) -> OtherEditor | None:
    """The best of the other editors that have this method, a wrapper with that inside; None if none has."""
    having = evidence.index.by_method.get((evidence.verdict.check, name), ())
    fitting = (one for one in having if inside is None or one.method.inside == inside)
    best: OtherEditor | None = None
    for other in _others(evidence, fitting):
        if other.is_better:
            return other
        best = best or other
        if not other.held:
            break
    return best


def _others(evidence: Evidence, editors: Iterable[EditorCheck]) -> Iterator[OtherEditor]:
    for one in editors:
        if one.label != evidence.verdict.editor:
            yield OtherEditor(one, _price(evidence, one.label))


def _price(evidence: Evidence, editor: str) -> Verdict | None:
    """The check that went worse than for the editor explained; if several, the one that failed by most."""
    ours = evidence.index.verdicts[evidence.verdict.editor]
    worse = [
        verdict
        for verdict in evidence.index.prices[editor]
        if verdict.check != evidence.verdict.check
        and (our := ours.get(verdict.check)) is not None
        and (our.status in ("pass", "inconclusive") or margin(verdict) < margin(our) - 0.1)
    ]
    return min(worse, key=lambda verdict: (verdict.severity == "warn", margin(verdict)), default=None)


def effect(evidence: Evidence, other: OtherEditor) -> str:
    """`frobenius(memit) in this record: 1.2 (held), against 2.96; edit success 0.98`."""
    ours, theirs, took = evidence.verdict, other.checked.verdict, other.checked.took
    words = f"{other.label} in this record: {_value(theirs)} ({SAID[theirs.status]})"
    words += f", against {_value(ours)}" if ours.value is not None else ""
    if took is not None and ours.metric != TOOK:
        share = wording.number(took, digits=2)
        words += f"; edit success {share}" if other.checked.edits else f"; but its edit success is {share}"
    if other.price is not None:
        mine = evidence.index.verdicts[ours.editor][other.price.check]
        words += f"; but {other.price.check} {'warned' if other.price.status == 'warn' else 'failed'}: "
        words += _value(other.price) + (f", against {_value(mine)}" if mine.value is not None else "")
    return wording.clean(words)


def _value(verdict: Verdict) -> str:
    return "no value" if verdict.value is None else wording.number(verdict.value)
