"""Text by the name of its source: one that is built in, or that of another package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from stability.errors import DataError
from stability.imports import import_point, in_one_line
from stability.parts import TEXT_SOURCES, own_head

FILE = "file"


class TextSource(Protocol):
    """A function with a head: documents, always in the same order."""

    def __call__(self, path: str | None) -> Sequence[str]:
        """The documents; `path` is None unless the head takes one. A `DataError` where they cannot be had."""


def load_documents(source: str, path: str | None = None) -> tuple[str, ...]:
    """The documents of a named source, or of the file at `path`, always in the same order.

    Raises:
        DataError: no such source or file, or nothing in it.
    """
    built_in, points = TEXT_SOURCES.built_in(), TEXT_SOURCES.points()
    if path is not None and (source in built_in or source not in points):
        source = source if source in built_in and built_in[source].head.takes_path else FILE
    if source in built_in:
        return tuple(cast(TextSource, built_in[source].made)(path))
    if source not in points:
        known = ", ".join(TEXT_SOURCES.names())
        raise DataError(f"no text is called {source!r}; known: {known}; or give a file with 'path'")
    found = import_point(points[source], TEXT_SOURCES.noun, DataError)
    head = own_head(TEXT_SOURCES, found)
    if path is not None and not (head and head.takes_path):
        return load_documents(FILE, path)
    with in_one_line(f"text {source!r}: reading it", DataError):
        documents = tuple(cast(TextSource, found)(path))
    if not documents or not all(isinstance(document, str) for document in documents):
        raise DataError(f"text {source!r}: gives no documents, or some that are not text")
    return documents
