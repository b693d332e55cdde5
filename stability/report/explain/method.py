"""What is known of an editor by its record: which method it is, its settings, and what it goes round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stability import parts
from stability.parts import BUILT_IN, EDITORS, EditorHead
from stability.record import EditorInfo
from stability.suite import EditorSpec

Family = parts.Family | Literal["on disk"]


@dataclass(frozen=True)
class Method:
    """An editing method and its settings, all filled in, by whatever label it ran.

    `name` is what finds it: a built-in's name, a dotted name or a path. A wrapper has `inside` what it goes
    round, which is not among its settings.
    """

    name: str
    family: Family
    settings: Mapping[str, Any] = field(default_factory=dict)
    inside: Method | None = None

    @property
    def head(self) -> EditorHead:
        """What its head says; that of an editor of one's own says nothing."""
        part = EDITORS.built_in().get(self.name)
        is_own = self.family == "own" and self.inside is None
        return EditorHead(self.name, "") if part is None or is_own else part.head

    @property
    def core(self) -> Method:
        """The method inside of all wrappers, which makes the edits."""
        return self if self.inside is None else self.inside.core

    @property
    def wrappers(self) -> tuple[str, ...]:
        """The wrappers round it, outermost first."""
        return () if self.inside is None else (self.name, *self.inside.wrappers)


def method_of(info: EditorInfo, entries: Iterable[EditorSpec] = ()) -> Method:
    """The method that an editor of a record is; `entries` are its suite's, by which labels are read."""
    if info.source == "checkpoint":
        return Method(info.name, "on disk")
    named = next((entry.name for entry in entries if entry.called == info.name), info.name)
    return _method(named, info.settings, is_own=info.source != BUILT_IN)


def is_wrapper(name: str) -> bool:
    """Whether a plain name finds a wrapper that comes with the harness."""
    part = EDITORS.built_in().get(name)
    return part is not None and part.head.family == "wrapper"


def _method(name: str, settings: Mapping[str, Any], *, is_own: bool = False) -> Method:
    inner = settings.get("editor")
    if isinstance(inner, Mapping) and "name" in inner:
        rest = {key: value for key, value in settings.items() if key != "editor"}
        inside = _method(str(inner["name"]), inner.get("settings") or {})
        outer = name.partition("(")[0]
        return Method(outer if is_own else _wrapper(outer, rest), inside.core.family, rest, inside)
    if is_own:
        return Method(name, "own", settings)
    part = EDITORS.built_in().get(name)
    return Method(name, "own" if part is None else part.head.family, settings)


def _wrapper(name: str, settings: Mapping[str, Any]) -> str:
    """The wrapper of that name; if it is a label, the one whose settings are most like these."""
    if is_wrapper(name):
        return name
    shared = {
        known: len(settings.keys() & set(part.settings))
        for known, part in EDITORS.built_in().items()
        if part.head.family == "wrapper"
    }
    best = max(shared, key=lambda known: shared[known])
    return best if shared[best] else name
