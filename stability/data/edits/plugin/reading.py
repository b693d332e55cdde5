"""Edit requests of a JSON or JSONL file, each in whatever form it is in."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.plugin.fields import FieldError, kind, shown
from stability.errors import DataError, first_line
from stability.parts import EDIT_FORMS
from stability.reading import read_bytes, refuse_deep

logger = logging.getLogger(__name__)

JSON_SPACE = " \t\r\n"

Form = Callable[[Mapping[str, Any], int], Edit | None]
"""A function with a head: the edit of an entry and its number, None where the entry asks for nothing."""


def read_edits(path: Path) -> list[Edit]:
    """All edits of a JSON or JSONL file, in its order; ids must differ.

    It holds a list of entries, or entries one after the other, or an object with one list of them.

    Raises:
        DataError: the file cannot be read, or an entry is none that asks for an edit.
    """
    entries = _read_entries(path)
    edits: list[Edit] = []
    for number, entry in enumerate(entries):
        try:
            edit = parse_edit(entry, number)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        if edit is None:
            logger.warning("%s: edit %d has an empty target; left out", path, number)
        else:
            edits.append(edit)
    seen: set[str] = set()
    for edit in edits:
        if edit.id in seen:
            raise DataError(f"{path}: two edits have the id {edit.id!r}")
        seen.add(edit.id)
    return edits


def parse_edit(entry: Any, number: int) -> Edit | None:
    """Read one entry, whatever its form; None where its target is empty.

    Raises:
        DataError: it has none of the forms, or a field of the wrong kind.
    """
    if not isinstance(entry, Mapping):
        raise DataError(f"edit {number}: expected an object with the fields of an edit, got {kind(entry)}")
    form = _form(entry)
    if form is None:
        raise DataError(
            f"edit {number} has the fields {_fields(entry)}; expected prompt, subject and target, or the "
            f"fields of a published form: {', '.join(EDIT_FORMS.names())}"
        )
    try:
        return form(entry, number)
    except FieldError as error:
        raise DataError(f"edit {number}: {error}") from error


def _form(entry: Mapping[str, Any]) -> Form | None:
    for part in EDIT_FORMS.built_in().values():
        has = [_has(entry, field) for field in part.head.fields]
        if all(has) and not any(_has(entry, field) for field in part.head.without):
            return cast(Form, part.made)
    return None


def _has(entry: Any, field: str) -> bool:
    """Whether there is such a field, null or not; a field of a field is written with a dot."""
    name, _, rest = field.partition(".")
    return isinstance(entry, Mapping) and name in entry and (not rest or _has(entry[name], rest))


def _read_entries(path: Path) -> list[Any]:
    try:
        content = read_bytes(path)
        text = content.decode(json.detect_encoding(content))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot read the edits: {error}") from error
    values = _values(text, path)
    if len(values) == 1 and isinstance(values[0], list):
        values = values[0]
    elif len(values) == 1 and isinstance(values[0], Mapping) and _form(values[0]) is None:
        values = _wrapped(values[0], path)
    if not values:
        raise DataError(f"{path}: holds no edits")
    return values


def _values(text: str, path: Path) -> list[Any]:
    """The values of JSON that stand one after the other, on a line each or over several.

    Lines are not split: a value may hold U+2028 or U+0085, which Python takes for ends of lines.
    """
    decoder, values = json.JSONDecoder(), []
    begin = _skip_space(text, 0)
    while begin < len(text):
        try:
            value, end = decoder.raw_decode(text, begin)
            refuse_deep(value)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, or lists as deep
            line = text.count("\n", 0, begin) + 1
            raise DataError(f"{path}:{line}: not JSON that can be read: {first_line(error)}") from error
        values.append(value)
        begin = _skip_space(text, end)
    return values


def _skip_space(text: str, place: int) -> int:
    while place < len(text) and text[place] in JSON_SPACE:
        place += 1
    return place


def _wrapped(entry: Mapping[str, Any], path: Path) -> list[Any]:
    """The one list of objects that an object holds; an object that holds none is the edit itself."""
    lists = {
        name: value
        for name, value in entry.items()
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value)
    }
    if len(lists) > 1:
        raise DataError(
            f"{path}: {', '.join(map(repr, lists))} each hold a list of objects; expected one list of edits"
        )
    return list(next(iter(lists.values()), [entry]))


def _fields(entry: Mapping[str, Any]) -> str:
    return ", ".join(map(shown, sorted(entry)))
