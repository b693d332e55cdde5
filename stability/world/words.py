"""Word lists, written as prose rather than as columns of quotation marks."""

from __future__ import annotations


def words(prose: str) -> tuple[str, ...]:
    """The words of `prose`, in order."""
    return tuple(prose.split())
