"""Making a `LoadedEditor` from a function, class or object: its shape is checked, its settings are read."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from stability.editors.plugin.protocol import BuiltIn, Editor, FunctionEditor, LoadedEditor
from stability.editors.plugin.settings import as_arguments, declared_settings, read_settings, settings_model
from stability.errors import EditorError, SettingsError
from stability.imports import in_one_line, own_files
from stability.record import EditorInfo

PACKAGE = Path(__file__).parents[1]
OWN = "stability.editors."


def wrap_editor(
    editor: object, settings: Mapping[str, Any] | None = None, name: str | None = None
) -> LoadedEditor:
    """A function, class or object as an editor.

    Raises:
        EditorError: it is none of these, or does not have an editor's methods.
        SettingsError: a setting's name, type or value is wrong, or one is missing.
    """
    if isinstance(editor, LoadedEditor):
        return editor
    called = name or str(getattr(editor, "__name__", type(editor).__name__))
    return load(editor, called, "python object", settings or {})


def load(
    found: object,
    name: str,
    source: str,
    settings: Mapping[str, Any],
    *,
    version: str | None = None,
    missing: str = "",
    inside: LoadedEditor | None = None,
) -> LoadedEditor:
    """Check an editor's shape and settings, and create it; `missing` says what to do about a missing setting.

    `inside` is the editor that a wrapper is created with.

    Raises:
        EditorError: it is not an editor, or creating it failed.
        SettingsError: a setting's name, type or value is wrong, or one is missing.
    """
    if callable(found) and not (inspect.isclass(found) or inspect.isroutine(found) or hasattr(found, "edit")):
        found = found.__call__  # a callable object
    check_shape(found, name)
    checked = read_settings(name, settings_model(found), settings, missing)
    dumped = _dump(name, checked)
    inner = "" if inside is None else inside.info.fingerprint
    content = _source_code(found) + json.dumps(dumped, sort_keys=True) + inner
    info = EditorInfo(
        name=name,
        source=source,
        settings=dumped,
        version=version,
        fingerprint=hashlib.sha256(content.encode()).hexdigest(),
    )
    with in_one_line(f"editor {name}: setting it up", EditorError):
        return LoadedEditor(info, _factory(found, checked, inside))


def _factory(found: object, settings: BaseModel, inside: LoadedEditor | None) -> Callable[[], Editor]:
    if inspect.isroutine(found):
        return lambda: FunctionEditor(cast(Callable[..., Any], found), as_arguments(settings))
    if not inspect.isclass(found):
        return lambda: cast(Editor, found)
    kind = cast(Callable[..., Editor], found)
    if inside is not None:
        return lambda: kind(settings, inside)
    if declared_settings(found) is not None:
        return lambda: kind(settings)
    return lambda: kind(**as_arguments(settings))


def check_shape(found: object, name: str) -> None:
    """Check that an object can be called as an editor, before a model is loaded for it.

    Raises:
        EditorError: it is not a function, class or object of that shape.
    """
    method = found if inspect.isroutine(found) else getattr(found, "edit", None)
    if not callable(method):
        raise EditorError(
            f"editor {name}: a {type(found).__name__} is no editor; it should be a function "
            "edit(model, tokenizer, edits), or a class or object with such a method"
        )
    bound = not inspect.isclass(found) or isinstance(
        inspect.getattr_static(found, "edit"), (staticmethod, classmethod)
    )
    arguments = ("model", "tokenizer", "edits") if bound else ("self", "model", "tokenizer", "edits")
    try:
        signature = inspect.signature(method)
    except ValueError:  # a function written in C has no known signature
        return
    parameters = signature.parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < len(arguments):
        raise EditorError(f"editor {name}: edit{signature} cannot be called as edit({', '.join(arguments)})")


def _dump(name: str, settings: BaseModel) -> dict[str, Any]:
    try:
        dumped = settings.model_dump(mode="json")
        json.dumps(dumped)
    except (ValueError, TypeError) as error:
        raise SettingsError(f"editor {name}: its settings cannot be written as JSON: {error}") from error
    return dumped


def _source_code(found: object) -> str:
    """The text that decides what an editor does: its module, and this whole package if it builds on it."""
    if inspect.isclass(found) and issubclass(found, BuiltIn):
        ours = "".join(file.read_text(encoding="utf-8") for file in sorted(PACKAGE.rglob("*.py")))
        return ours if found.__module__.startswith(OWN) else ours + _module_source(found)
    return _module_source(found)


def _own_first(file: Path) -> list[Path]:
    """A file, and the files of its own that it imports."""
    return [file, *(other for other in own_files(file) if other != file.resolve())]


def _module_source(found: object) -> str:
    code = found if inspect.isclass(found) or inspect.isroutine(found) else type(found)
    try:
        file = inspect.getsourcefile(cast(Any, code))
        if file is not None:
            return "".join(
                own.read_text(encoding="utf-8", errors="replace") for own in _own_first(Path(file))
            )
    except (TypeError, OSError):  # typed into an interpreter, so there is no file
        pass
    compiled = getattr(code, "__code__", None)
    return f"{compiled.co_code!r}{compiled.co_consts!r}" if compiled else code.__qualname__
