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
    is_built_in: bool = True

    @property
    def head(self) -> EditorHead:
        """What its head says; one that does not come with the harness says nothing."""
        part = EDITORS.built_in().get(self.name) if self.is_built_in else None
        return EditorHead(self.name, "") if part is None else part.head

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
        return Method(info.name, "on disk", is_built_in=False)
    named = next((entry.name for entry in entries if entry.called == info.name), info.name)
    return _method(named, info.settings, info.source == BUILT_IN)


def is_wrapper(name: str) -> bool:
    """Whether a plain name finds a wrapper that comes with the harness."""
    part = EDITORS.built_in().get(name)
    return part is not None and part.head.family == "wrapper"


def _method(name: str, settings: Mapping[str, Any], is_built_in: bool) -> Method:
    inner = settings.get("editor")
    if isinstance(inner, Mapping) and "name" in inner:
        rest = {key: value for key, value in settings.items() if key != "editor"}
        within = str(inner["name"])
        outermost = within.partition("(")[0]
        inside = _method(within, inner.get("settings") or {}, outermost in EDITORS.built_in())
        outer = name.partition("(")[0]
        outer = _wrapper(outer, rest) if is_built_in else outer
        return Method(outer, inside.core.family, rest, inside, is_built_in)
    part = EDITORS.built_in().get(name) if is_built_in else None
    return Method(name, "own" if part is None else part.head.family, settings, None, is_built_in)


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
