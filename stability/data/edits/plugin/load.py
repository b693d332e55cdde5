"""Edit requests by the name of their source: one that is built in, or that of another package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from stability.data.edits.plugin.edit import Edit
from stability.errors import DataError
from stability.imports import import_point, in_one_line
from stability.parts import EDIT_SOURCES, own_head
from stability.suite import EditsSpec

FILE = "file"


class EditSource(Protocol):
    """A function with a head: the edits in the order that the seed gives, `spec.count` of them or more.

    Edits have ids of their own, and the first ones do not depend on how many are asked for.
    """

    def __call__(self, spec: EditsSpec, seed: int) -> Sequence[Edit]:
        """The edits; a `DataError` where they cannot be had."""


def load_edits(spec: EditsSpec, seed: int) -> tuple[Edit, ...]:
    """The first `spec.count` edits of the source in the order that the seed gives.

    What a model knows is not looked at: `known` is for whoever has one.

    Raises:
        DataError: the source or file is unknown, unreadable, or holds too few edits.
    """
    return load_stream(spec, seed)[: spec.count]


def load_stream(spec: EditsSpec, seed: int) -> tuple[Edit, ...]:
    """All edits that the source gives, in the order that the seed gives: `spec.count` of them or more.

    A `path` names a file, whatever the source, unless the source takes one itself.

    Raises:
        DataError: the source or file is unknown, unreadable, or holds too few edits.
    """
    built_in, points = EDIT_SOURCES.built_in(), EDIT_SOURCES.points()
    name = spec.source
    if spec.path is not None and (name in built_in or name not in points):
        name = name if name in built_in and built_in[name].head.takes_path else FILE
    if name in built_in:
        return enough(cast(EditSource, built_in[name].made)(spec, seed), spec.count, f"edits {name!r}")
    if name not in points:
        known = ", ".join(EDIT_SOURCES.names())
        raise DataError(f"no edits are called {name!r}; known: {known}; or give a file with 'path'")
    found = import_point(points[name], EDIT_SOURCES.noun, DataError)
    head = own_head(EDIT_SOURCES, found)
    if spec.path is not None and not (head and head.takes_path):
        return load_stream(spec.model_copy(update={"source": FILE}), seed)
    with in_one_line(f"edits {name!r}: reading them", DataError):
        edits = tuple(cast(EditSource, found)(spec, seed))
    _check(edits, name)
    return enough(edits, spec.count, f"edits {name!r}")


def enough(edits: Sequence[Edit], count: int, origin: str) -> tuple[Edit, ...]:
    """All of them.

    Raises:
        DataError: there are fewer than `count`.
    """
    if len(edits) < count:
        raise DataError(f"{origin} holds {len(edits)} edits, the run asks for {count}; lower run.edits.count")
    return tuple(edits)


def _check(edits: Sequence[object], name: str) -> None:
    """See that another package's source has given edits, each with an id of its own."""
    seen: set[str] = set()
    for number, edit in enumerate(edits):
        if not isinstance(edit, Edit):
            raise DataError(f"edits {name!r}: number {number} is a {type(edit).__name__}, not an Edit")
        if edit.id in seen:
            raise DataError(f"edits {name!r}: two edits have the id {edit.id!r}")
        seen.add(edit.id)
