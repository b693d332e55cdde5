"""Finding an editor by name: built in, installed by another package, importable, or in a file."""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, cast

from stability.editors.plugin.loading import PACKAGE, load
from stability.editors.plugin.presets import load_presets, preset
from stability.editors.plugin.protocol import BuiltIn, LoadedEditor
from stability.editors.plugin.settings import described_settings, read_settings
from stability.editors.wrappers.steps.wrapper import Wrapper, WrapperSettings
from stability.errors import EditorError
from stability.imports import import_named, import_point

GROUP = "stability.editors"


@dataclass(frozen=True)
class EditorEntry:
    """An editor that can be called by a plain name.

    `settings` are written `name` or `name=default`; empty for an editor of another package, which would have
    to be imported to be asked. `models` are those it has a preset for.
    """

    name: str
    source: str
    summary: str = ""
    settings: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


def list_editors() -> tuple[EditorEntry, ...]:
    """Every editor with a plain name, by name: those built in, and those of installed packages."""
    entries = [
        EditorEntry(
            name, "built-in", kind.summary, described_settings(kind.Settings), tuple(load_presets(name))
        )
        for name, kind in _built_in().items()
    ]
    entries += [EditorEntry(point.name, _origin(point)) for point in metadata.entry_points(group=GROUP)]
    return tuple(sorted(entries, key=lambda entry: entry.name))


def find_editor(
    name: str,
    settings: Mapping[str, Any] | None = None,
    model_name: str = "",
    *,
    called: str | None = None,
    depth: int | None = None,
) -> LoadedEditor:
    """Find an editor and fill in its settings: its defaults, its preset for the model, then those given.

    `name` is a plain name, `package.module:attribute`, or `path/to/file.py:attribute` (`edit` if no attribute
    is named); `sphere(memit)` is short for `sphere` with the setting `editor: memit`. Built-in names win over
    those of installed packages. `called` is what records and messages call it, if not by `name`; `depth`, the
    model's number of blocks, is what layers are chosen by for a model that has no preset.

    Raises:
        EditorError: there is no such editor, importing it failed, or it is no editor.
        SettingsError: a setting's name, type or value is wrong, or one is missing.
    """
    found = _find(name, settings or {}, model_name, depth)
    if called is not None:
        found.info = found.info.model_copy(update={"name": called})
    return found


def _find(name: str, given: Mapping[str, Any], model_name: str, depth: int | None) -> LoadedEditor:
    built_in = _built_in()
    outer, bracket, inner = name.removesuffix(")").partition("(")
    if name not in built_in and bracket and name.endswith(")") and outer in built_in:
        given = {"editor": inner, **given}
        name = outer
    kind = built_in.get(name)
    if kind is not None:
        values = {**preset(name, model_name, None if "layers" in given else depth), **given}
        if issubclass(kind, Wrapper):
            return _find_wrapper(kind, values, model_name, depth)
        missing = _missing_hint(name, model_name)
        return load(kind, name, "built-in", values, version=_own_version(), missing=missing)
    imported = import_named(name, "editor", "edit", EditorError)
    if imported is not None:
        return load(imported[0], name, imported[1], given)
    for point in metadata.entry_points(group=GROUP, name=name):
        version = point.dist.version if point.dist else None
        return load(import_point(point, "editor", EditorError), name, _origin(point), given, version=version)
    known = [entry.name for entry in list_editors()]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? known" if close else "known"
    raise EditorError(
        f"no editor is called {name!r}; {hint}: {', '.join(known)}; "
        "or name one of your own as package.module:attribute or ./file.py:attribute"
    )


def _find_wrapper(
    kind: type[Wrapper], values: Mapping[str, Any], model_name: str, depth: int | None
) -> LoadedEditor:
    """A wrapper and the editor that it goes round, whose settings are filled in as if it stood alone."""
    hint = f"; name the editor that it goes round: {{{kind.name}: {{editor: memit}}}} or {kind.name}(memit)"
    settings = read_settings(kind.name, kind.Settings, values, hint)
    entry = cast(WrapperSettings, settings).editor
    inner = find_editor(entry.name, entry.settings, model_name, called=entry.called, depth=depth)
    made = {**values, "editor": {"name": entry.name, "as": entry.label, "settings": inner.info.settings}}
    return load(
        kind, f"{kind.name}({inner.info.name})", "built-in", made, version=_own_version(), goes_round=inner
    )


def _built_in() -> dict[str, type[BuiltIn]]:
    """The editors of this package: every class in it that is a `BuiltIn` and not abstract."""
    found: dict[str, type[BuiltIn]] = {}
    package = __name__.rpartition(".plugin.")[0]
    for entry in pkgutil.walk_packages([str(PACKAGE)], f"{package}."):
        for value in vars(importlib.import_module(entry.name)).values():
            ours = inspect.isclass(value) and issubclass(value, BuiltIn) and value.__module__ == entry.name
            if ours and not inspect.isabstract(value):
                found[value.name] = value
    return found


def _missing_hint(name: str, model_name: str) -> str:
    known = ", ".join(load_presets(name))
    return f"; {model_name or 'this model'} has no preset (presets: {known})" if known else ""


def _own_version() -> str | None:
    try:
        return metadata.version("stability-harness")
    except metadata.PackageNotFoundError:  # imported from a checkout that is not installed
        return None


def _origin(point: metadata.EntryPoint) -> str:
    return f"entry point of {point.dist.name}" if point.dist else "entry point"
