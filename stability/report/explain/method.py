"""What a record says about an editor: its method, its settings, and the editor inside a wrapper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from stability import parts
from stability.parts import BUILT_IN, EDITORS, EditorHead
from stability.record import EditorInfo
from stability.suite import EditorSpec

Family = parts.Family | Literal["on disk"]


@dataclass(frozen=True)
class Method:
    """An editing method with all of its settings, whatever its label in the record.

    `name` finds it: a built-in's name, a dotted name or a path. If it is a wrapper, `inside` is the editor
    that it wraps, which is not among its settings.
    """

    name: str
    family: Family
    settings: Mapping[str, Any] = field(default_factory=dict)
    inside: Method | None = None
    is_built_in: bool = True

    @property
    def head(self) -> EditorHead:
        """Its head; an empty one if it is not built in."""
        part = EDITORS.built_in().get(self.name) if self.is_built_in else None
        return EditorHead(self.name, "") if part is None else part.head

    @property
    def core(self) -> Method:
        """The method inside all wrappers, which makes the edits."""
        return self if self.inside is None else self.inside.core

    @property
    def wrappers(self) -> tuple[str, ...]:
        """The names of its wrappers, outermost first."""
        return () if self.inside is None else (self.name, *self.inside.wrappers)


def method_of(info: EditorInfo, entries: Mapping[str, EditorSpec] = MappingProxyType({})) -> Method:
    """The method of an editor of a record; `entries` are those of its suite by what they are called."""
    if info.source == "checkpoint":
        return Method(info.name, "on disk", is_built_in=False)
    entry = entries.get(info.name)
    return _method(info.name if entry is None else entry.name, info.settings, info.source == BUILT_IN)


def is_wrapper(name: str) -> bool:
    """Whether the name is that of a built-in wrapper."""
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
    """The wrapper of that name; if it is a label, the wrapper whose settings fit best."""
    if is_wrapper(name):
        return name
    shared = {
        known: len(settings.keys() & set(part.settings))
        for known, part in EDITORS.built_in().items()
        if part.head.family == "wrapper"
    }
    best = max(shared, key=lambda known: shared[known])
    return best if shared[best] else name
