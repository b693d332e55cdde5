"""A verdict with everything that its explanation can use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeGuard

from stability.judge import EditorJudgement, Judgement, Verdict
from stability.record import Record, Run
from stability.report.explain.index import Index
from stability.report.explain.method import Method
from stability.report.explain.rerun import Rerun
from stability.report.steps import wording
from stability.suite import CheckSpec, EditorSpec, parse_bound

LARGEST = 1e300  # no real setting is larger
Side = Literal["high", "low", "unknown"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """One verdict of one editor, with the record and the judgement that it is of."""

    index: Index
    verdict: Verdict

    @property
    def record(self) -> Record:
        """The record."""
        return self.index.record

    @property
    def judgement(self) -> Judgement:
        """The judgement."""
        return self.index.judgement

    @property
    def runs(self) -> Sequence[Run]:
        """The editor's runs, one for each seed."""
        return self.index.runs.get(self.verdict.editor, ())

    @property
    def editor(self) -> EditorJudgement:
        """The judgement of this editor."""
        return self.index.editors[self.verdict.editor]

    @property
    def rerun(self) -> Rerun | None:
        """How to run it again; None if no command can."""
        return self.index.rerun

    @cached_property
    def check(self) -> CheckSpec | None:
        """The check in the suite that judged; None if that suite is not known."""
        own = self.rerun.file if self.rerun else None
        file = self.judgement.other.file if self.judgement.other else own
        return file.spec.checks.get(self.verdict.name) if file else None

    @property
    def method(self) -> Method:
        """The editor's method."""
        return self.index.methods[self.verdict.editor]

    @property
    def entry(self) -> EditorSpec | None:
        """The editor as written in a suite or command line; None if no command can run it."""
        return self.entry_of(self.verdict.editor)

    def entry_of(self, editor: str) -> EditorSpec | None:
        """The same for another editor of the record."""
        info = self.index.runs[editor][0].editor
        return None if info.source in ("python object", "checkpoint") else self.index.entries.get(info.name)

    @property
    def is_on_disk(self) -> bool:
        """Whether the model was read already edited, so that the editor is unknown."""
        return self.method.family == "on disk"

    @property
    def called(self) -> str:
        """The editor in words."""
        return "the editor" if self.is_on_disk else wording.clean(self.verdict.editor)

    @property
    def side(self) -> Side:
        """The end of the bound that the value is past."""
        bound, value = parse_bound(self.verdict.bound), self.verdict.value
        if value is None or value != value or bound.holds(value):
            return "unknown"
        return "high" if value >= bound.high else "low"

    @property
    def is_unsure(self) -> bool:
        """Whether the value is past the bound, but by no more than chance may explain."""
        return self.verdict.within_noise

    def share(self, edits: int) -> str:
        """` (N/d_k 0.12)` for that many edits; "" if no key dimension is known."""
        for run in self.editor.runs:
            if run.edits_per_key_dimension is not None and run.edits:
                return f" (N/d_k {wording.number(run.edits_per_key_dimension / run.edits * edits, digits=2)})"
        return ""

    def setting(self, name: str) -> Any:
        """A setting of the method inside all wrappers; None if it has no setting of that name."""
        return self.method.core.settings.get(name)

    def suite(self, *path: str) -> Any:
        """A value of the suite by its keys; None if it is unset."""
        found: Any = self.record.measured
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    @property
    def batch(self) -> int:
        """The number of edits in a batch."""
        return int(number_or(self.suite("run", "edits", "batch"), 1))


def is_number(value: object) -> TypeGuard[float]:
    """Whether a setting is a number that can be made larger or smaller; a record may hold anything."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def number_or(value: object, usual: float) -> float:
    """A setting, or the usual value if it is not a number."""
    return value if is_number(value) else usual


def rounded(value: float) -> float:
    """The value rounded to three digits."""
    short = float(wording.number(value))
    return int(short) if short.is_integer() else short
