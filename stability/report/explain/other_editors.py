"""How the same check went for other editors of the record, so that a remedy that was run has evidence."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from stability.judge import EditorJudgement, Verdict
from stability.report.explain.evidence import Evidence
from stability.report.explain.method import Method
from stability.report.steps import wording
from stability.suite.metrics import measured_by

DID_EDIT = 0.5  # without a check on edit success, a method with less does not count as editing
SAID = {"pass": "held", "fail": "failed, too", "warn": "warned, too", "inconclusive": "inconclusive"}
TOOK = "edit_success"


@dataclass(frozen=True)
class OtherEditor:
    """Another editor of the record, and how the same check went for it.

    `took` is its edit success, the lowest over seeds, None if it was not measured; `edits` is whether that is
    enough. `price` is a check that failed for it and held, or failed by less, for the editor explained.
    """

    label: str
    method: Method
    verdict: Verdict
    took: float | None
    edits: bool
    price: Verdict | None = None

    @property
    def held(self) -> bool:
        """Whether the check held, and not because the editor did nothing."""
        return self.verdict.status == "pass" and self.edits

    @property
    def is_better(self) -> bool:
        """Whether it held, without another check getting worse."""
        return self.held and self.price is None


def other_editors(evidence: Evidence) -> list[OtherEditor]:
    """The other editors for which the same check has a verdict, the best first."""
    found = list(_others(evidence))
    return sorted(found, key=lambda other: (not other.is_better, not other.held, -_margin(other.verdict)))


def _others(evidence: Evidence) -> Iterator[OtherEditor]:
    for editor in evidence.judgement.editors:
        if editor.editor == evidence.verdict.editor:
            continue
        for verdict in editor.verdicts:
            if verdict.check != evidence.verdict.check or verdict.status not in SAID or verdict.value is None:
                continue
            took, edits = _took(evidence, editor)
            method = evidence.method_of(editor.editor)
            edits = edits and method.family != "control"
            yield OtherEditor(editor.editor, method, verdict, took, edits, _price(evidence, editor))


def _took(evidence: Evidence, editor: EditorJudgement) -> tuple[float | None, bool]:
    """An editor's edit success, and whether it edits: by a check's verdict or else by the value."""
    for verdict in editor.verdicts:
        if verdict.metric == TOOK and verdict.relative_to is None and verdict.value is not None:
            return verdict.value, verdict.status in ("pass", "inconclusive")
    last = [run.checkpoints[-1].readings for run in evidence.runs_of(editor.editor) if run.checkpoints]
    found = [readings[TOOK].values[""] for readings in last if TOOK in readings]
    took = min(found, default=None)
    return took, took is None or took >= DID_EDIT


def _price(evidence: Evidence, editor: EditorJudgement) -> Verdict | None:
    """The check that went worse than for the editor explained; if several, the one that failed by most."""
    ours = {verdict.check: verdict for verdict in evidence.editor.verdicts}
    worse = [
        verdict
        for verdict in editor.verdicts
        if verdict.status in ("fail", "warn")
        and measured_by(verdict.metric) != "clock"
        and verdict.metric != TOOK
        and verdict.check != evidence.verdict.check
        and (our := ours.get(verdict.check)) is not None
        and (our.status in ("pass", "inconclusive") or _margin(verdict) < _margin(our) - 0.1)
    ]
    return min(worse, key=lambda verdict: (verdict.severity == "warn", _margin(verdict)), default=None)


def effect(evidence: Evidence, other: OtherEditor) -> str:
    """`frobenius(memit) in this record: 1.2 (held), against 2.96; edit success 0.98`."""
    ours, theirs = evidence.verdict, other.verdict
    words = f"{other.label} in this record: {_value(theirs)} ({SAID[theirs.status]})"
    words += f", against {_value(ours)}" if ours.value is not None else ""
    if other.took is not None and ours.metric != TOOK:
        share = wording.number(other.took, digits=2)
        words += f"; edit success {share}" if other.edits else f"; but its edit success is {share}"
    if other.price is not None:
        mine = next(one for one in evidence.editor.verdicts if one.check == other.price.check)
        words += f"; but {other.price.check} {'warned' if other.price.status == 'warn' else 'failed'}: "
        words += _value(other.price) + (f", against {_value(mine)}" if mine.value is not None else "")
    return wording.clean(words)


def _value(verdict: Verdict) -> str:
    return "no value" if verdict.value is None else wording.number(verdict.value)


def _margin(verdict: Verdict) -> float:
    """How far inside the bound the value is, as a share of it; without a share, by whether it held."""
    if verdict.margin is not None and not math.isnan(verdict.margin):
        return verdict.margin
    return 0.0 if verdict.status in ("pass", "inconclusive") else -math.inf
