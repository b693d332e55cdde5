"""Ending a forward pass early, when a hook has seen all that is wanted of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn


class _SeenEnough(Exception):  # noqa: N818  (no error, but the way out)
    """Raised in a hook; nothing but `may_end_early` catches it."""


def end_forward() -> NoReturn:
    """Called in a hook: the blocks above are not run, and `may_end_early` is left."""
    raise _SeenEnough


@contextmanager
def may_end_early() -> Iterator[None]:
    """A forward pass inside may end with `end_forward`, and then gives no output."""
    with suppress(_SeenEnough):
        yield
