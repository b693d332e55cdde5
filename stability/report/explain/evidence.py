"""A verdict with everything that an explanation of it may speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeGuard

from stability.judge import EditorJudgement, Judgement, Verdict, runs_by_editor
from stability.record import Record, Run
from stability.report.explain.method import Method, method_of
from stability.report.explain.rerun import Rerun
from stability.report.steps import wording
from stability.suite import EditorSpec, parse_bound

LARGEST = 1e300  # a number beyond it is none that anybody set
Side = Literal["high", "low", "unknown"]


@dataclass(frozen=True, eq=False)
class Evidence:
    """One verdict of one editor, the record and the judgement that it is from."""

    record: Record
    judgement: Judgement
    verdict: Verdict

    @cached_property
    def runs(self) -> Sequence[Run]:
        """The editor's runs, one for each seed."""
        return self.runs_of(self.verdict.editor)

    @cached_property
    def _runs(self) -> dict[str, list[Run]]:
        return runs_by_editor(self.record)

    def runs_of(self, editor: str) -> Sequence[Run]:
        """The runs of an editor, by the judgement's name of it."""
        return self._runs.get(editor, ())

    @cached_property
    def editor(self) -> EditorJudgement:
        """Everything that was said of this editor."""
        return {one.editor: one for one in self.judgement.editors}[self.verdict.editor]

    @cached_property
    def rerun(self) -> Rerun | None:
        """How to run it again; None where no command does."""
        return Rerun.of(self.record)

    @cached_property
    def method(self) -> Method:
        """What the editor is."""
        return self.method_of(self.verdict.editor)

    def method_of(self, editor: str) -> Method:
        """What another editor of the record is."""
        return method_of(self.runs_of(editor)[0].editor, self.rerun.entries if self.rerun else ())

    @cached_property
    def entry(self) -> EditorSpec | None:
        """How the suite or the command line names the editor; None where no command can."""
        return self.entry_of(self.verdict.editor)

    def entry_of(self, editor: str) -> EditorSpec | None:
        """The same of another editor of the record."""
        info = self.runs_of(editor)[0].editor
        if self.rerun is None or info.source in ("python object", "checkpoint"):
            return None
        return self.rerun.entry(info.name)

    @property
    def is_on_disk(self) -> bool:
        """Whether the model was found edited, so that nobody knows by what."""
        return self.method.family == "on disk"

    @property
    def called(self) -> str:
        """The editor in words."""
        return "the editor" if self.is_on_disk else wording.clean(self.verdict.editor)

    @property
    def side(self) -> Side:
        """Which end of the bound the value is past."""
        bound, value = parse_bound(self.verdict.bound), self.verdict.value
        if value is None or value != value or bound.holds(value):
            return "unknown"
        return "high" if value >= bound.high else "low"

    @property
    def is_unsure(self) -> bool:
        """Whether the value is past the bound, but no further than chance explains."""
        return self.verdict.within_noise

    def share(self, edits: int) -> str:
        """` (N/d_k 0.12)` for so many edits, or nothing where no key dimension is known."""
        for run in self.editor.runs:
            if run.edits_per_key_dimension is not None and run.edits:
                return f" (N/d_k {wording.number(run.edits_per_key_dimension / run.edits * edits, digits=2)})"
        return ""

    def setting(self, name: str) -> Any:
        """A setting of the method that makes the edits; None if it has none of that name."""
        return self.method.core.settings.get(name)

    def suite(self, *path: str) -> Any:
        """Something that the suite says of what is measured, by its keys; None if it is unset."""
        found: Any = self.record.measured
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        return found

    @property
    def batch(self) -> int:
        """How many edits were made at a time."""
        return int(number_or(self.suite("run", "edits", "batch"), 1))


def is_number(value: object) -> TypeGuard[float]:
    """Whether a setting can be made larger or smaller; a record may hold anything."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST


def number_or(value: object, usual: float) -> float:
    """A setting, or the usual value where it is none."""
    return value if is_number(value) else usual


def rounded(value: float) -> float:
    """Three digits, as a person would write it."""
    short = float(wording.number(value))
    return int(short) if short.is_integer() else short
