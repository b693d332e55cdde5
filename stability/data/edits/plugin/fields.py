"""Reading the fields of an entry that asks for an edit: what is not of the kind that is expected is named.

A field of a field is written with a dot, `target_new.str`. Where one may be absent, null means that it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

KINDS = (
    (bool, "true or false"),
    (int | float, "a number"),
    (str, "text"),
    (list, "a list"),
    (Mapping, "an object"),
)
ABSENT = object()


class FieldError(ValueError):
    """A field is not as expected; whoever reads the file says in which entry."""


def text(entry: Mapping[str, Any], field: str) -> str:
    """The text of a field that has to be there."""
    return _text(_found(entry, field), field)


def optional_text(entry: Mapping[str, Any], field: str) -> str | None:
    """The text of a field, None if there is none."""
    return None if _missing(entry, field) else text(entry, field)


def texts(entry: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """The texts of a field: one, a list of them, or none."""
    if _missing(entry, field):
        return ()
    value = _found(entry, field)
    if isinstance(value, str):
        return (_text(value, field),)
    if not isinstance(value, list):
        raise FieldError(f"{field}: expected text or a list of texts, got {kind(value)}")
    return tuple(_text(item, f"{field}[{number}]") for number, item in enumerate(value))


def first_text(entry: Mapping[str, Any], field: str) -> str | None:
    """The first text of a field that holds one, or several that mean the same; None if there is none."""
    return next(iter(texts(entry, field)), None)


def identifier(entry: Mapping[str, Any], field: str, number: int) -> str:
    """The id of an entry, text or a whole number; its number in the file if it has none."""
    if _missing(entry, field):
        return str(number)
    value = _found(entry, field)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise FieldError(f"{field}: expected text or a whole number, got {kind(value)}")
    return _text(value, field)


def spaced(entry: Mapping[str, Any], *, target: str = "", otherwise: bool | None = None) -> bool | None:
    """Whether a space stands between prompt and target: what the field `space` says, if there is one.

    A target that is written with a space before it has one, if the field `target` is named. A target never
    begins with any other white space: at the prompt's end it is kept as it is.
    """
    if not _missing(entry, "space"):
        value = _found(entry, "space")
        if not isinstance(value, bool):
            raise FieldError(f"space: expected true or false, got {kind(value)}")
        return value
    written = text(entry, target) if target else ""
    before = written[: len(written) - len(written.lstrip())]
    if before.strip(" "):
        raise FieldError(f"{target}: begins with {before!r}; write white space at the prompt's end")
    return True if before else otherwise


def template(filled: str, subject: str, field: str) -> str:
    """The prompt with its subject taken out; one that holds `{}` stands for it already."""
    if "{}" in filled:
        return filled
    if not subject.strip():
        raise FieldError("subject is empty")
    if subject not in filled:
        raise FieldError(f"{field}: the subject {subject!r} does not occur in the prompt {filled!r}")
    return filled.replace(subject, "{}", 1)


def nested_texts(value: Any, field: str) -> Iterator[str]:
    """The texts of a value in lists of any depth, in order."""
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from nested_texts(item, f"{field}[{number}]")
    else:
        yield _text(value, field)


def kind(value: object) -> str:
    """What a value of JSON is, in words."""
    if value is None:
        return "null"
    return next((word for of, word in KINDS if isinstance(value, of)), type(value).__name__)


def shown(name: str) -> str:
    """A field's name for a message of one line."""
    return name if name.isprintable() else ascii(name)


def _found(entry: Mapping[str, Any], field: str) -> Any:
    value: Any = entry
    names = field.split(".")
    for depth, name in enumerate(names):
        if value is None or value is ABSENT:
            return ABSENT
        if not isinstance(value, Mapping):
            raise FieldError(
                f"{'.'.join(names[:depth])}: expected an object with {name!r}, got {kind(value)}"
            )
        value = value.get(name, ABSENT)
    return value


def _missing(entry: Mapping[str, Any], field: str) -> bool:
    value = _found(entry, field)
    return value is None or value is ABSENT


def _text(value: Any, field: str) -> str:
    if value is ABSENT:
        raise FieldError(f"{field}: expected text, it is missing")
    if not isinstance(value, str):
        raise FieldError(f"{field}: expected text, got {kind(value)}")
    if re.search("[\ud800-\udfff]", value):
        raise FieldError(f"{field}: expected text, got half of a surrogate pair in {value!a}")
    return value
