"""The editors with their settings, and the sources of edits and text, as their heads have them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from sources import code, field_comments, prose, table

from stability.editors.plugin.settings import settings_model
from stability.errors import MeasurementError
from stability.imports import import_point
from stability.parts import (
    EDIT_FORMS,
    EDIT_SOURCES,
    EDITORS,
    TEXT_SOURCES,
    Head,
    Kind,
    origin,
    own_head,
)

LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


def editor_settings() -> str:
    """Every editor that a plain name finds: what it is, and its settings."""
    parts = [
        "# Settings of the editors",
        "By editor: each setting with its type and its default, as `stability editors` lists them. A preset "
        "for the model comes before the default, and what the suite or `--set` gives before both. "
        "[Editors](editors.md) says what they do to a model.",
    ]
    for name, part in EDITORS.built_in().items():
        parts += [f"## {name}", *_editor(part.made, part.head.summary)]
    for name, point in EDITORS.points().items():
        parts += [f"## {name}", f"From another package: {origin(point)}.", *_installed(point)]
    return "\n\n".join(filter(None, parts)) + "\n"


def source_page() -> str:
    """The sources that edits and text come from, and the forms that edits are published in."""
    parts = [
        "# Sources of edits and text",
        "What a suite may write as `run.edits.source` and `text.source`, and in which forms a file of edits "
        "may be. [Your own data](your-data.md) says how to add to them.",
        "## Edits",
        _listed(EDIT_SOURCES, "source"),
        "## Forms of a file of edits",
        "Each entry is read in the form that its fields show.",
        _listed(EDIT_FORMS, "form"),
        "## Text",
        _listed(TEXT_SOURCES, "source"),
    ]
    return "\n\n".join(parts) + "\n"


def _listed(kind: Kind[Any], word: str) -> str:
    heads: Mapping[str, Head] = {name: part.head for name, part in kind.built_in().items()}
    rows = [(code(name), prose(head.summary)) for name, head in heads.items()]
    for name, point in kind.points().items():
        head = own_head(kind, _imported(kind, point))
        said = [prose(head.summary)] if head else []
        rows.append((code(name), "; ".join([*said, origin(point)])))
    return table((word, "what it is"), rows)


def _installed(point: metadata.EntryPoint) -> Iterator[str]:
    """An editor of another package, as far as it carries a head."""
    found = _imported(EDITORS, point)
    head = own_head(EDITORS, found)
    if head is not None:
        yield from _editor(found, head.summary)


def _imported(kind: Kind[Any], point: metadata.EntryPoint) -> object:
    """What an entry point names; None where that cannot be imported."""
    try:
        return import_point(point, kind.noun, MeasurementError)
    except MeasurementError:
        return None


def _editor(made: object, summary: str) -> Iterator[str]:
    yield summary[:1].upper() + prose(summary)[1:] + "."
    yield prose(inspect.getdoc(made) or "")
    rows = list(_settings(settings_model(made)))
    yield table(("setting", "type", "default", ""), rows) if rows else "It has no settings."


def _settings(model: type[BaseModel]) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and comment of each setting, in the order in which pydantic has them."""
    for name, field in model.model_fields.items():
        given = field.get_default(call_default_factory=True)
        default = "required" if field.is_required() else code(repr(given))
        limits = [
            f"{word} {getattr(limit, key)}"
            for limit in field.metadata
            for key, word in LIMITS.items()
            if getattr(limit, key, None) is not None
        ]
        comment = ", ".join(filter(None, (*limits, prose(_comment(model, name)))))
        yield code(name), code(_type(field.annotation)), default, comment


def _comment(model: type[BaseModel], name: str) -> str:
    """What stands beside the field in the class that declares it."""
    owner = next(one for one in model.__mro__ if name in vars(one).get("__annotations__", {}))
    file = inspect.getsourcefile(owner)
    return field_comments(Path(file), owner.__name__).get(name, "") if file else ""


def _type(annotation: Any) -> str:
    """A type as one would write it: without what only pydantic reads of it, and without modules."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in (Union, UnionType):
        return " | ".join(map(_type, arguments))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, arguments))}]"
    if annotation in (NoneType, None):
        return "None"
    if annotation is Ellipsis:
        return "..."
    if origin is not None:
        return f"{origin.__name__}[{', '.join(map(_type, arguments))}]"
    return str(getattr(annotation, "__name__", annotation))
