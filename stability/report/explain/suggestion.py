"""A suggestion for an editor: what the record shows about it, and the command that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stability.report.explain.evidence import Evidence
from stability.report.explain.explanation import Remedy
from stability.report.explain.other_editors import OtherEditor, best_with, better_editors, effect
from stability.report.explain.rerun import Rerun
from stability.suite import EditorSpec

Command = Callable[[Rerun, EditorSpec], str]
Words = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Suggestion:
    """A remedy before it is shown: `other` is the record's run of it, None if there is none.

    `effect` is anything else that the record shows about it.
    """

    words: str
    command: str = ""
    other: OtherEditor | None = None
    effect: str = ""

    @property
    def order(self) -> int:
        """Sort key: what helped in the record, then what was not tried, what has a price, what failed."""
        if self.other is None:
            return 1
        return 0 if self.other.is_better else 2 if self.other.held else 3

    def remedy(self, evidence: Evidence) -> Remedy:
        """The remedy as it is shown."""
        return Remedy(self.words, self.command, effect(evidence, self.other) if self.other else self.effect)


def command(evidence: Evidence, make: Command) -> str:
    """A command about the editor; empty if no command line can name the editor."""
    if evidence.rerun is None or evidence.entry is None:
        return ""
    return make(evidence.rerun, evidence.entry)


def by_wrapping(evidence: Evidence, wrapper: str, words: Words, **settings: Any) -> Suggestion | None:
    """The editor with a wrapper around it; None if it already has that one, or cannot be wrapped.

    `words` are made of the wrapper's settings: those in the record, if it was tried there.
    """
    method = evidence.method
    adds_modules = method.core.head.adds_modules(method.core.settings)  # such an editor cannot be wrapped
    if method.family == "control" or wrapper in method.wrappers or adds_modules:
        return None
    if other := best_with(evidence, wrapper, inside=method):
        return Suggestion(words(other.method.settings), _own_command(evidence, other), other)
    if adds_modules is None:
        return Suggestion(words(settings))
    made = command(evidence, lambda rerun, entry: rerun.wrapped(wrapper, entry, **settings))
    return Suggestion(words(settings), _if_judged(evidence, f"{wrapper}({method.name})", made))


def by_editor(evidence: Evidence, name: str, words: str) -> Suggestion | None:
    """Another editor instead of this one; None if this is the one, or it could not make these edits."""
    core = evidence.method.core
    if core.name == name or not core.head.uses_edits or evidence.method.family == "control":
        return None
    if other := best_with(evidence, name):
        return Suggestion(words, _own_command(evidence, other), other)
    made = evidence.rerun.run(name) if evidence.rerun else ""
    return Suggestion(words, _if_judged(evidence, name, made))


def by_setting(evidence: Evidence, key: str, value: Any, words: str) -> Suggestion:
    """The editor with one of its settings changed."""
    return Suggestion(words, command(evidence, lambda rerun, entry: rerun.with_setting(entry, key, value)))


def by_suite(evidence: Evidence, setting: str, words: str) -> Suggestion:
    """The same run with another value in the suite, outside its checks."""
    return Suggestion(words, command(evidence, lambda rerun, entry: rerun.run(entry.called, setting)))


def by_what_was_measured(evidence: Evidence, tried: list[Suggestion]) -> Suggestion | None:
    """The best of the record's other editors, if it helps and is not among the suggestions already."""
    seen = {suggestion.other.label for suggestion in tried if suggestion.other}
    for other in better_editors(evidence):
        if other.label not in seen:
            words = f"edit with {other.label}: for it the check held in this record"
            return Suggestion(words, _own_command(evidence, other), other)
    return None


def _if_judged(evidence: Evidence, called: str, made: str) -> str:
    """The command, unless the suite's check is only for other editors, so that it would show nothing."""
    return made if evidence.check is None or evidence.check.concerns(called) else ""


def _own_command(evidence: Evidence, other: OtherEditor) -> str:
    entry = evidence.entry_of(other.label)
    return evidence.rerun.run(entry.called) if evidence.rerun and entry else ""
