"""Finding an editor by name: built in, installed by another package, importable, or in a file."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from stability.editors.plugin.loading import PACKAGE, load, reporting
from stability.editors.plugin.presets import load_presets, preset
from stability.editors.plugin.protocol import BuiltIn, LoadedEditor
from stability.editors.plugin.settings import described_settings, read_settings
from stability.editors.wrappers.steps.wrapper import Wrapper, WrapperSettings
from stability.errors import EditorError

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
    location, attribute = _split(name)
    if location.endswith(".py") or "/" in location or "\\" in location:
        module = _import_file(name, Path(location).expanduser())
        return load(_attribute(module, attribute or "edit", name), name, "path", given)
    if attribute:
        with _importable(Path.cwd()), reporting(name, doing="importing it"):
            module = importlib.import_module(location)
        return load(_attribute(module, attribute, name), name, "dotted name", given)
    for point in metadata.entry_points(group=GROUP, name=name):
        with reporting(name, doing="importing it"):
            found = point.load()
        return load(found, name, _origin(point), given, version=point.dist.version if point.dist else None)
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


def _split(name: str) -> tuple[str, str | None]:
    """`location:attribute`; the part behind the last colon only if it can be an attribute."""
    location, colon, attribute = name.rpartition(":")
    if colon and all(part.isidentifier() for part in attribute.split(".")):
        return location, attribute
    return name, None


def _import_file(name: str, path: Path) -> ModuleType:
    if not path.is_file():
        raise EditorError(f"editor {name}: there is no file {path}")
    path = path.resolve()
    # Named by its path, so that two files of one name do not take each other's place.
    module_name = f"stability_editor_{hashlib.sha256(str(path).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise EditorError(f"editor {name}: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # pydantic and dataclasses look their module up there
    with _importable(path.parent), reporting(name, doing="importing it"):
        spec.loader.exec_module(module)
    return module


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let what stands in a folder be imported, as when Python runs a file of it."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _attribute(module: ModuleType, path: str, name: str) -> object:
    found: object = module
    for part in path.split("."):
        if not hasattr(found, part):
            public = [
                key for key, value in vars(found).items() if callable(value) and not key.startswith("_")
            ]
            close = difflib.get_close_matches(part, public, n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            has = f" (it has {', '.join(public)})" if public else ""
            raise EditorError(f"editor {name}: there is no {part!r} in it{hint}{has}")
        found = getattr(found, part)
    return found
