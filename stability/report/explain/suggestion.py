"""Something to try for an editor: what the record shows of it, and the command that runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stability.report.explain.evidence import Situation
from stability.report.explain.explanation import Remedy
from stability.report.explain.other_editors import Rival, effect, rivals
from stability.report.explain.rerun import Again
from stability.suite import EditorSpec

Command = Callable[[Again, EditorSpec], str]
Words = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Attempt:
    """A remedy in the making: `rival` is the run of it in the record, None where it was not tried there.

    `effect` is what else the record shows of it.
    """

    words: str
    command: str = ""
    rival: Rival | None = None
    effect: str = ""

    @property
    def order(self) -> int:
        """First what the record shows to help, then what was not tried, what has a price, what fails."""
        if self.rival is None:
            return 1
        return 0 if self.rival.is_better else 2 if self.rival.held else 3

    def remedy(self, situation: Situation) -> Remedy:
        """As it is shown."""
        return Remedy(self.words, self.command, effect(situation, self.rival) if self.rival else self.effect)


def command(situation: Situation, make: Command) -> str:
    """A command about the editor; empty where no command line can name it."""
    if situation.again is None or situation.entry is None:
        return ""
    return make(situation.again, situation.entry)


def by_wrapping(situation: Situation, wrapper: str, words: Words, **settings: Any) -> Attempt | None:
    """The editor with a wrapper round it; None where it has that one, or where none can go round it.

    `words` are made of the wrapper's settings: those in the record, if it was tried there.
    """
    method = situation.method
    adds_modules = method.core.head.adds_modules(method.core.settings)  # which nothing can go round
    if method.family == "control" or wrapper in method.wrappers or adds_modules:
        return None
    for rival in rivals(situation):
        if rival.method.name == wrapper and rival.method.inside == method:
            return Attempt(words(rival.method.settings), _own_command(situation, rival), rival)
    if adds_modules is None:
        return Attempt(words(settings))
    made = command(situation, lambda again, entry: again.wrapped(wrapper, entry, **settings))
    return Attempt(words(settings), _if_judged(situation, f"{wrapper}({method.name})", made))


def by_editor(situation: Situation, name: str, words: str) -> Attempt | None:
    """Another editor in place of this one; None where this is it, or it could not make these edits."""
    core = situation.method.core
    if core.name == name or not core.head.uses_edits or situation.method.family == "control":
        return None
    for rival in rivals(situation):
        if rival.method.name == name:
            return Attempt(words, _own_command(situation, rival), rival)
    made = situation.again.run(name) if situation.again else ""
    return Attempt(words, _if_judged(situation, name, made))


def by_setting(situation: Situation, key: str, value: Any, words: str) -> Attempt:
    """The editor with one of its settings changed."""
    return Attempt(words, command(situation, lambda again, entry: again.with_setting(entry, key, value)))


def by_suite(situation: Situation, setting: str, words: str) -> Attempt:
    """The same run with something else in the suite, but for its checks."""
    return Attempt(words, command(situation, lambda again, entry: again.run(entry.called, setting)))


def by_what_was_measured(situation: Situation, tried: list[Attempt]) -> Attempt | None:
    """The best of the record's other editors, if it helps and is not among those already."""
    seen = {attempt.rival.label for attempt in tried if attempt.rival}
    for rival in rivals(situation):
        if rival.is_better and rival.label not in seen:
            words = f"edit with {rival.label}: for it the check held in this record"
            return Attempt(words, _own_command(situation, rival), rival)
    return None


def _if_judged(situation: Situation, called: str, made: str) -> str:
    """The command, unless the suite puts the check to other editors only, and it would say nothing."""
    spec = situation.again.file.spec.checks.get(situation.verdict.name) if situation.again else None
    return made if spec is None or spec.concerns(called) else ""


def _own_command(situation: Situation, rival: Rival) -> str:
    entry = situation.entry_of(rival.label)
    return situation.again.run(entry.called) if situation.again and entry else ""
