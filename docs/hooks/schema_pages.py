"""The schemas of suites and of run.json: tables of every key, and the JSON Schema itself."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sources import code, field_comments, prose, table

from stability import record
from stability.record import Record
from stability.suite import SuiteSpec
from stability.suite import schema as suite_schema


def suite_page() -> str:
    """Every key of a suite file."""
    return _page(
        "Suite schema",
        "What may stand in a suite file, by part; [the suite language](suite-language.md) says what it "
        "means. `stability schema` writes the [JSON Schema](suite.schema.json), with which most code editors "
        "complete and check a suite.",
        SuiteSpec,
    )


def record_page() -> str:
    """Every key of run.json."""
    return _page(
        "Schema of run.json",
        "What a run leaves in `run.json`, by part. `stability schema --record` writes the "
        "[JSON Schema](record.schema.json); `stability.read_record` reads the file, and the files of every "
        "older schema: see [records outlive versions](measuring-and-judging.md#records-outlive-versions).",
        Record,
    )


def json_schema(model: type[BaseModel]) -> str:
    """The JSON Schema, as `stability schema` writes it."""
    return json.dumps(model.model_json_schema(by_alias=True), indent=2) + "\n"


def _page(title: str, introduction: str, root: type[BaseModel]) -> str:
    schema = root.model_json_schema(by_alias=True)
    parts = [f"# {title}", introduction, *_section(root, schema)]
    for name, definition in schema.get("$defs", {}).items():
        if definition.get("type") == "object":
            parts += _section(_model(name), definition)
    return "\n\n".join(parts) + "\n"


def _model(name: str) -> type[BaseModel]:
    for module in (suite_schema, record):
        found = getattr(module, name, None)
        if inspect.isclass(found):
            return found
    raise LookupError(f"no model is called {name}")


def _section(model: type[BaseModel], schema: dict[str, Any]) -> Iterator[str]:
    yield f"## {model.__name__}"
    yield prose(inspect.cleandoc(schema.get("description", "")))
    comments: dict[str, str] = {}
    for kind in model.__mro__:
        if issubclass(kind, BaseModel) and kind is not BaseModel:
            comments |= field_comments(Path(inspect.getfile(kind)), kind.__name__)
    names = {field.alias or name: name for name, field in model.model_fields.items()}
    required = schema.get("required", ())
    rows = [
        (
            code(key),
            _type(entry),
            "required" if key in required else _default(entry),
            prose(comments.get(names[key], "")),
        )
        for key, entry in schema["properties"].items()
    ]
    yield table(("key", "type", "default", ""), rows)


def _default(entry: dict[str, Any]) -> str:
    """The default; that of a part with keys of its own stands with those."""
    return code(json.dumps(entry["default"])) if "default" in entry and "$ref" not in entry else ""


def _type(entry: dict[str, Any]) -> str:
    """A JSON Schema type in words: `integer, at least 1`, `list of string`, a link to a part of this page."""
    if "$ref" in entry:
        name = entry["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(_type(one) for one in entry["anyOf"]))
    if "enum" in entry or "const" in entry:
        return " or ".join(code(json.dumps(one)) for one in entry.get("enum", [entry.get("const")]))
    kind = str(entry.get("type", "any"))
    if kind == "array":
        items = entry.get("items", {})
        return f"list of {_type(items)}" if items else "list"
    if kind == "object":
        inner = entry.get("additionalProperties")
        return f"mapping to {_type(inner)}" if isinstance(inner, dict) and inner else "mapping"
    limits = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    return ", ".join([kind, *(f"{word} {entry[key]}" for key, word in limits.items() if key in entry)])
