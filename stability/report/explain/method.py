"""What is known of an editor by its record: which method it is, its settings, and what it goes round."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stability.record import EditorInfo
from stability.suite import EditorSpec

Family = Literal["closed form", "trained", "control", "foreign", "own", "on disk"]

FAMILIES: Mapping[Family, tuple[str, ...]] = {
    "closed form": ("rome", "memit", "pmet", "emmet", "alphaedit", "encore", "nas"),
    "trained": ("ft", "ft_l", "lora", "full_ft", "cpt", "mend"),
    "control": ("none",),
    "foreign": ("kmeng", "easyedit"),
}
WRAPPERS: Mapping[str, str] = {
    "frobenius": "max_ratio",
    "prune": "log_base",
    "rect": "kept",
    "reset": "every",
    "revive": "tau",
    "sphere": "eta",
}
"""Each wrapper with a setting that no other has: a suite may call it by a label."""


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
    if info.source != "built-in":
        return Method(info.name, "own", info.settings)
    named = next((entry.name for entry in entries if entry.called == info.name), info.name)
    return _built_in(named, info.settings)


def _built_in(name: str, settings: Mapping[str, Any]) -> Method:
    inner = settings.get("editor")
    if isinstance(inner, Mapping) and "name" in inner:
        rest = {key: value for key, value in settings.items() if key != "editor"}
        inside = _built_in(str(inner["name"]), inner.get("settings") or {})
        return Method(_wrapper(name, rest), inside.core.family, rest, inside)
    families = (family for family, names in FAMILIES.items() if name in names)
    family: Family = next(families, "own")
    return Method(name, family, settings)


def _wrapper(name: str, settings: Mapping[str, Any]) -> str:
    outer = name.partition("(")[0]
    if outer in WRAPPERS:
        return outer
    return next((known for known, setting in WRAPPERS.items() if setting in settings), outer)
