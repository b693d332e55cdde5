"""The editors with their settings, and the metrics, read off the sources: nothing heavy is imported."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import griffe
from sources import code, field_comments, prose, table

import stability
from stability.parts import METRICS

LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


@cache
def _package() -> griffe.Object:
    folder = Path(stability.__file__).parents[1]
    loaded = griffe.load("stability", search_paths=[folder], allow_inspection=False)
    assert isinstance(loaded, griffe.Object)
    return loaded


def editor_settings() -> str:
    """Every editor that comes with the harness: what it is, and its settings."""
    editors = {_text(kind, "name"): kind for kind in _editors()}
    parts = [
        "# Settings of the editors",
        "By editor: each setting with its type and its default, as `stability editors` lists them. A preset "
        "for the model comes before the default, and what the suite or `--set` gives before both. "
        "[Editors](editors.md) says what they do to a model.",
    ]
    for name, kind in sorted(editors.items()):
        parts += [f"## {name}", _first_upper(prose(_text(kind, "summary"))) + "."]
        parts.append(prose(kind.docstring.value) if kind.docstring else "")
        rows = list(_settings(kind))
        parts.append(table(("setting", "type", "default", ""), rows) if rows else "It has no settings.")
    return "\n\n".join(filter(None, parts)) + "\n"


def metric_pages() -> str:
    """Every metric: what it measures, and what it has a value for."""
    parts = METRICS.built_in()
    rows = {
        measured: [
            (code(name), _over(part.head.over), part.head.unit, prose(part.head.summary))
            for name, part in parts.items()
            if part.head.measured == measured
        ]
        for measured in ("run", "clock", "gate")
    }
    columns = ("metric", "a value for each", "unit", "what it measures")
    pages = [
        "# Metrics",
        "What a check's `metric` may be; `stability metrics` lists the same. How each is computed, and the "
        "choices behind it, is in [what each figure is](definitions.md).",
        table(columns, rows["run"]),
        "## Time and memory",
        "No property of the edits, so no two runs agree on them; a check may bound them nonetheless.",
        table(columns, rows["clock"]),
        "## Of two checkpoints on disk",
        "Measured by [`stability gate`](gate.md) only.",
        table(columns, rows["gate"]),
        "## Each in a sentence or two",
        *(f"**`{name}`**. {prose(inspect.getdoc(part.made) or '')}" for name, part in parts.items()),
    ]
    return "\n\n".join(pages) + "\n"


def _classes(package: str) -> Iterator[griffe.Class]:
    """Every class that a module of a subpackage defines."""
    todo = [_package()[package]]
    while todo:
        module = todo.pop()
        todo += module.modules.values()
        yield from (kind for kind in module.classes.values() if not kind.is_alias)


def _editors() -> Iterator[griffe.Class]:
    for kind in _classes("editors"):
        above = [one.path for one in kind.mro()]
        named = kind.attributes.get("name")
        if (
            "stability.editors.plugin.protocol.BuiltIn" in above
            and named is not None
            and named.value is not None
        ):
            yield kind


def _settings(kind: griffe.Class) -> Iterator[tuple[str, str, str, str]]:
    """Name, type, default and comment of each setting, in the order in which pydantic has them."""
    declared = next(
        (one.attributes["Settings"] for one in [kind, *kind.mro()] if "Settings" in one.attributes), None
    )
    if declared is None or declared.value is None:
        return
    settings = _package()[declared.value.canonical_path.removeprefix("stability.")]
    fields: dict[str, tuple[str, str, str, str]] = {}
    for one in reversed([settings, *settings.mro()]):
        comments = field_comments(one.filepath, one.name)
        for name, attribute in one.attributes.items():
            if attribute.annotation is not None and not attribute.labels & {"property", "cached"}:
                default, limits = _default(attribute.value)
                comment = ", ".join(filter(None, (limits, prose(comments.get(name, "")))))
                fields[name] = (code(name), code(_type(attribute.annotation)), default, comment)
    yield from fields.values()


def _default(value: object) -> tuple[str, str]:
    """The default and the limits of a field: `Field(0.5, gt=0)` is 0.5, above 0."""
    if value is None:
        return "required", ""
    node = ast.parse(str(value), mode="eval").body
    if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "Field"):
        return code(str(value)), ""
    limits = [f"{LIMITS[word.arg]} {ast.unparse(word.value)}" for word in node.keywords if word.arg in LIMITS]
    given = [
        *node.args,
        *(word.value for word in node.keywords if word.arg in ("default", "default_factory")),
    ]
    return code(ast.unparse(given[0])) if given else "required", ", ".join(limits)


def _type(annotation: object) -> str:
    """A type without what only pydantic reads of it: `Annotated[int, Field(ge=0)]` is int."""
    return ast.unparse(_Plain().visit(ast.parse(str(annotation), mode="eval")))


class _Plain(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        if ast.unparse(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple):
            return self.visit(node.slice.elts[0])
        return self.generic_visit(node)


def _text(kind: griffe.Class, name: str) -> str:
    """A class attribute that is a string, of the class or the nearest above it."""
    for one in [kind, *kind.mro()]:
        attribute = one.attributes.get(name)
        if attribute is not None and attribute.value is not None:
            return str(ast.literal_eval(str(attribute.value)))
    return ""


def _over(word: str) -> str:
    return "run" if word == "scalar" else word


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
