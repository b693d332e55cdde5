"""Fields that published forms of edit requests have in common."""

from __future__ import annotations

from typing import Any

from stability.errors import DataError


def template(filled: str, subject: str, name: str) -> str:
    """The prompt with its subject taken out."""
    if subject not in filled:
        raise DataError(f"edit {name}: the subject {subject!r} does not occur in the prompt {filled!r}")
    return filled.replace(subject, "{}", 1)


def texts(value: Any) -> tuple[str, ...]:
    """One text, several, or none."""
    if isinstance(value, str):
        return (value,)
    return tuple(str(item) for item in value or ())
