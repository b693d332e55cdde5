"""A record and its judgement by editor and by check, put in order once for all explanations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from stability.judge import EditorJudgement, Judgement, Verdict, runs_by_editor
from stability.record import Record, Run
from stability.report.explain.method import Method, method_of
from stability.report.explain.rerun import Rerun
from stability.suite import EditorSpec
from stability.suite.metrics import measured_by

DID_EDIT = 0.5  # without a check on edit success, a method with less does not count as editing
KNOWN = ("pass", "fail", "warn", "inconclusive")
TOOK = "edit_success"


@dataclass(frozen=True)
class EditorCheck:
    """How a check went for an editor.

    `took` is its edit success, the lowest over seeds, None if it was not measured; `edits` is whether that is
    enough.
    """

    label: str
    method: Method
    verdict: Verdict
    took: float | None
    edits: bool

    @property
    def held(self) -> bool:
        """Whether the check held, and not because the editor did nothing."""
        return self.verdict.status == "pass" and self.edits


@dataclass(frozen=True, eq=False)
class Index:
    """A record and its judgement; editors are named by their labels in the judgement."""

    record: Record
    judgement: Judgement

    @cached_property
    def runs(self) -> Mapping[str, Sequence[Run]]:
        """The runs of each editor, one for each seed."""
        return runs_by_editor(self.record)

    @cached_property
    def editors(self) -> Mapping[str, EditorJudgement]:
        """The judgement of each editor."""
        return {one.editor: one for one in self.judgement.editors}

    @cached_property
    def verdicts(self) -> Mapping[str, Mapping[str, Verdict]]:
        """The verdicts of each editor, by their checks."""
        return {
            label: {verdict.check: verdict for verdict in one.verdicts} for label, one in self.editors.items()
        }

    @cached_property
    def prices(self) -> Mapping[str, Sequence[Verdict]]:
        """What did not hold for each editor, but for the clock's figures and whether edits took."""
        return {
            label: [
                verdict
                for verdict in one.verdicts
                if verdict.status in ("fail", "warn")
                and measured_by(verdict.metric) != "clock"
                and verdict.metric != TOOK
            ]
            for label, one in self.editors.items()
        }

    @cached_property
    def rerun(self) -> Rerun | None:
        """How to run it again; None if no command can."""
        return Rerun.of(self.record, self.judgement.other.file if self.judgement.other else None)

    @cached_property
    def entries(self) -> Mapping[str, EditorSpec]:
        """The suite's editors as they ran, by the names that they are called; empty if no command can."""
        return {entry.called: entry for entry in reversed(self.rerun.entries)} if self.rerun else {}

    @cached_property
    def methods(self) -> Mapping[str, Method]:
        """The method of each editor."""
        return {label: method_of(runs[0].editor, self.entries) for label, runs in self.runs.items()}

    @cached_property
    def by_check(self) -> Mapping[str, Sequence[EditorCheck]]:
        """How each check went for the editors that have a value of it, the best first."""
        found: dict[str, list[EditorCheck]] = {}
        for editor in self.judgement.editors:
            counted = [v for v in editor.verdicts if v.status in KNOWN and v.value is not None]
            if not counted:
                continue
            took, edits = self._took(editor)
            method = self.methods[editor.editor]
            edits = edits and method.family != "control"
            for verdict in counted:
                one = EditorCheck(editor.editor, method, verdict, took, edits)
                found.setdefault(verdict.check, []).append(one)
        return {check: _best_first(editors) for check, editors in found.items()}

    @cached_property
    def by_method(self) -> Mapping[tuple[str, str], Sequence[EditorCheck]]:
        """The same, by the check and the name of the editor's method."""
        found: dict[tuple[str, str], list[EditorCheck]] = {}
        for check, editors in self.by_check.items():
            for one in editors:
                found.setdefault((check, one.method.name), []).append(one)
        return found

    def _took(self, editor: EditorJudgement) -> tuple[float | None, bool]:
        """An editor's edit success, and whether it edits: by a check's verdict or else by the value."""
        for verdict in editor.verdicts:
            if verdict.metric == TOOK and verdict.relative_to is None and verdict.value is not None:
                return verdict.value, verdict.status in ("pass", "inconclusive")
        last = [run.checkpoints[-1].readings for run in self.runs.get(editor.editor, ()) if run.checkpoints]
        found = [readings[TOOK].values[""] for readings in last if TOOK in readings]
        took = min(found, default=None)
        return took, took is None or took >= DID_EDIT


def margin(verdict: Verdict) -> float:
    """How far inside the bound the value is, as a share of it; without a share, by whether it held."""
    if verdict.margin is not None and not math.isnan(verdict.margin):
        return verdict.margin
    return 0.0 if verdict.status in ("pass", "inconclusive") else -math.inf


def _best_first(editors: Iterable[EditorCheck]) -> list[EditorCheck]:
    return sorted(editors, key=lambda one: (not one.held, -margin(one.verdict)))
