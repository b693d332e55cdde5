"""Finding an editor by name: built in, installed by another package, importable, or in a file."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any, cast

from stability.editors.plugin.loading import load
from stability.editors.plugin.presets import load_presets, preset
from stability.editors.plugin.protocol import BuiltIn, LoadedEditor
from stability.editors.plugin.settings import described_settings, read_settings, settings_model
from stability.editors.plugin.wrapper import Wrapper, WrapperSettings
from stability.errors import EditorError
from stability.imports import import_named, import_point
from stability.parts import BUILT_IN, EDITORS, origin, own_head

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EditorEntry:
    """An editor with a plain name.

    `settings` are written `name` or `name=default`, and `models` are those with a preset. For an editor of
    another package only name and source are known, unless it has a head.
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
            name,
            BUILT_IN,
            part.head.summary,
            described_settings(part.made.Settings),
            tuple(load_presets(name)),
        )
        for name, part in EDITORS.built_in().items()
    ]
    entries += [_installed(point) for point in EDITORS.points().values()]
    return tuple(sorted(entries, key=lambda entry: entry.name))


def _installed(point: metadata.EntryPoint) -> EditorEntry:
    """An editor of another package; if it cannot be imported, only its name is known."""
    try:
        found = import_point(point, "editor", EditorError)
    except EditorError as error:
        log.warning("%s", error)
        return EditorEntry(point.name, origin(point))
    head = own_head(EDITORS, found)
    if head is None:
        return EditorEntry(point.name, origin(point))
    return EditorEntry(point.name, origin(point), head.summary, described_settings(settings_model(found)))


def find_editor(
    name: str,
    settings: Mapping[str, Any] | None = None,
    model_name: str = "",
    *,
    called: str | None = None,
    depth: int | None = None,
) -> LoadedEditor:
    """Find an editor and fill in its settings: its defaults, its preset for the model, then those given.

    `name` is a plain name, `package.module:attribute`, or `path/to/file.py:attribute` (without an attribute,
    `edit`); `sphere(memit)` is short for `sphere` with the setting `editor: memit`. Built-in names take
    precedence over those of installed packages. `called` is its name in records and messages, by default
    `name`; `depth` is the model's number of blocks, from which layers are chosen if the model has no preset.

    Raises:
        EditorError: there is no such editor, importing it failed, or it is not an editor.
        SettingsError: a setting's name, type or value is wrong, or one is missing.
    """
    found = _find(name, settings or {}, model_name, depth)
    if called is not None:
        found.info = found.info.model_copy(update={"name": called})
    return found


def _find(name: str, given: Mapping[str, Any], model_name: str, depth: int | None) -> LoadedEditor:
    built_in, points = EDITORS.built_in(), EDITORS.points()
    outer, bracket, inner = name.removesuffix(")").partition("(")
    if name not in built_in and bracket and name.endswith(")") and (outer in built_in or outer in points):
        given = {"editor": inner, **given}
        name = outer
    if name in built_in:
        kind = cast(type[BuiltIn], built_in[name].made)
        values = {**preset(name, model_name, None if "layers" in given else depth), **given}
        if issubclass(kind, Wrapper):
            return _find_wrapper(kind, name, BUILT_IN, _own_version(), values, model_name, depth)
        missing = _missing_hint(name, model_name)
        return load(kind, name, BUILT_IN, values, version=_own_version(), missing=missing)
    imported = import_named(name, "editor", "edit", EditorError)
    if imported is not None:
        return load(imported[0], name, imported[1], given)
    if name in points:
        found, source = import_point(points[name], "editor", EditorError), origin(points[name])
        package = points[name].dist
        version = package.version if package else None
        if inspect.isclass(found) and issubclass(found, Wrapper):
            return _find_wrapper(found, name, source, version, given, model_name, depth)
        return load(found, name, source, given, version=version)
    known = EDITORS.names()
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? known" if close else "known"
    raise EditorError(
        f"no editor is called {name!r}; {hint}: {', '.join(known)}; "
        "or name one of your own as package.module:attribute or ./file.py:attribute"
    )


def _find_wrapper(
    kind: type[Wrapper],
    name: str,
    source: str,
    version: str | None,
    values: Mapping[str, Any],
    model_name: str,
    depth: int | None,
) -> LoadedEditor:
    """A wrapper with the editor inside, whose settings are filled in as for the editor alone."""
    hint = f"; name the editor that it wraps: {{{name}: {{editor: memit}}}} or {name}(memit)"
    entry = cast(WrapperSettings, read_settings(name, kind.Settings, values, hint)).editor
    inner = find_editor(entry.name, entry.settings, model_name, called=entry.called, depth=depth)
    made = {**values, "editor": {"name": entry.name, "as": entry.label, "settings": inner.info.settings}}
    return load(kind, f"{name}({inner.info.name})", source, made, version=version, inside=inner)


def _missing_hint(name: str, model_name: str) -> str:
    known = ", ".join(load_presets(name))
    return f"; {model_name or 'this model'} has no preset (presets: {known})" if known else ""


def _own_version() -> str | None:
    try:
        return metadata.version("stability-harness")
    except metadata.PackageNotFoundError:  # imported from a checkout that is not installed
        return None
