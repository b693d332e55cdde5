"""One tensor that two models hold with other bytes: norms in one pass over both sides, the rank in some more.

The pass that takes the norms also makes the first product that the rank needs, so that a change of low rank
takes one more pass, or two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from stability.gate.files.folder import BYTES, Stored
from stability.gate.weights.numbers import (
    SPACING,
    Floats,
    count_nonfinite,
    norm_of,
    norm_of_parts,
    numbers_of,
    patterns,
    rounded,
)
from stability.gate.weights.rank import (
    LARGEST_BASIS,
    MOST,
    Rows,
    Sums,
    applied,
    first_basis,
    rounding_floor,
    streamed_rank,
)
from stability.gate.weights.windows import Pair, Window, blocks, over, same

LONGEST_ROW = LARGEST_BASIS // MOST  # elements: of longer ones a basis for a rank of so many is too large
SMALL, LARGE = 1e-9, 1e9  # norms of a difference outside of which float32's products under- or overflow
WIDE = 1e37  # a norm from which on float32's differences could overflow


@dataclass(frozen=True)
class Change:
    """One tensor that differs: norms before and after, of the difference, and how many elements differ."""

    base_norm: float
    norm: float
    delta_norm: float
    elements: int
    nonfinite_base: int
    nonfinite: int
    rank: int | None = None  # None if it is not a matrix, has too long rows, or is not finite


class Total:
    """A sum of arrays of one shape, in float64, that several threads add to."""

    def __init__(self) -> None:
        self._adding = Lock()
        self._sum: Sums | None = None

    def add(self, part: Rows | Sums) -> None:
        """Add an array."""
        with self._adding:
            if self._sum is None:
                self._sum = part.astype(np.float64)
            else:
                self._sum += part

    @property
    def sum(self) -> Sums:
        """What was added, once something was."""
        assert self._sum is not None
        return self._sum


def change_of(base: Stored, edited: Stored) -> Change:
    """The figures of a tensor of one shape on both sides.

    Raises:
        ModelError: a file ends too soon.
    """
    with threadpool_limits(1, "blas"):  # the windows have threads already
        return _change(base, edited)


def _change(base: Stored, edited: Stored) -> Change:
    is_matrix = len(base.shape) == 2 and base.elements > 0 and base.shape[1] <= LONGEST_ROW
    wider = max(base, edited, key=lambda tensor: BYTES[tensor.dtype])
    parts = list(blocks(wider, whole=base.shape[1] if is_matrix else 1))
    basis = first_basis(*base.shape) if is_matrix else None
    first = Total()

    def look(window: Window, pair: Pair) -> Change:
        figures, delta = _figures(base, edited, window, pair)
        if basis is not None and 0 < figures.delta_norm < LARGE:
            first.add(applied(_rows(delta, len(basis)), basis))
        return figures

    found = over(parts, look)
    change = Change(
        base_norm=norm_of_parts(part.base_norm for part in found),
        norm=norm_of_parts(part.norm for part in found),
        delta_norm=norm_of_parts(part.delta_norm for part in found),
        elements=sum(part.elements for part in found),
        nonfinite_base=sum(part.nonfinite_base for part in found),
        nonfinite=sum(part.nonfinite for part in found),
    )
    moved = [window for window, part in zip(parts, found, strict=True) if part.delta_norm > 0]
    if not is_matrix or not moved or not math.isfinite(change.delta_norm):
        return change
    return replace(change, rank=_rank(base, edited, moved, change, first))


def _figures(base: Stored, edited: Stored, window: Window, pair: Pair) -> tuple[Change, Floats]:
    """The figures of a window alone, and its difference, which is left empty where there is none."""
    one, other = pair.base.read(base, window), pair.edited.read(edited, window)
    before = numbers_of(pair.base, base, window, pair.base.room(window.size))
    norm = norm_of(before)
    bad = 0 if math.isfinite(norm) else count_nonfinite(before)
    if are_comparable(base, edited) and same(one, other):
        return Change(norm, norm, 0.0, 0, bad, bad), before[:0]
    now = numbers_of(pair.edited, edited, window, pair.edited.room(window.size))
    norm_now = norm_of(now)
    bad_now = 0 if math.isfinite(norm_now) else count_nonfinite(now)
    if are_comparable(base, edited):
        differ = patterns(one, base.dtype) != patterns(other, edited.dtype)
    else:
        before = rounded_alike(before, base, now, edited)
        differ = (before != now) & ~(np.isnan(before) & np.isnan(now))
    elements = int(np.count_nonzero(differ))
    delta = _difference(before, now, is_wide=not max(norm, norm_now) < WIDE)
    return Change(norm, norm_now, norm_of(delta), elements, bad, bad_now), delta


def are_comparable(base: Stored, edited: Stored) -> bool:
    """Whether two tensors are equal if and only if their bytes are."""
    return base.dtype == edited.dtype and base.added is None and edited.added is None


def rounded_alike(before: Floats, base: Stored, now: Floats, edited: Stored) -> Floats:
    """`before`, but equal to `now` wherever one of the two is the other, rounded to its dtype."""
    if base.dtype == edited.dtype:
        return before
    alike = (rounded(before, edited.dtype) == now) | (rounded(now, base.dtype) == before)
    return np.where(alike, now, before)


def _difference(before: Floats, now: Floats, is_wide: bool) -> Floats:
    """`now - before`; in float64 if that is asked for, else in the room of `before` where it fits."""
    with np.errstate(invalid="ignore", over="ignore"):
        if is_wide or before.dtype != now.dtype:
            return np.subtract(now, before, dtype=np.float64)
        return np.subtract(now, before, out=before)


def _rows(delta: Floats, columns: int) -> Rows:
    """A difference as rows of a matrix, [n, columns]."""
    return delta.astype(np.float32, copy=False).reshape(-1, columns)


def _rank(base: Stored, edited: Stored, moved: list[Window], change: Change, first: Total) -> int:
    """The rank of the difference; `moved` has all of its rows that are not zero."""
    rows, columns = base.shape
    # What an adapter adds is not rounded to the dtype of what it is added to.
    rounded_to = {"F32" if edited.added else edited.dtype: change.norm}
    if not edited.added:
        rounded_to.setdefault(base.dtype, change.base_norm)  # of the same dtype, it is what was edited
    floor = max(
        rounding_floor(norm, rows, columns, SPACING.get(dtype, 0.0)) for dtype, norm in rounded_to.items()
    )
    is_usual = SMALL < change.delta_norm < LARGE
    # A power of two, so that nothing is rounded by it.
    scale = 1.0 if is_usual else math.ldexp(1.0, max(min(-math.frexp(change.delta_norm)[1], 1000), -1000))

    def total(work: Callable[[Rows], Rows | Sums]) -> NDArray[np.float64]:
        products = Total()

        def add(window: Window, pair: Pair) -> None:
            before = numbers_of(pair.base, base, window, pair.base.room(window.size))
            now = numbers_of(pair.edited, edited, window, pair.edited.room(window.size))
            before = rounded_alike(before, base, now, edited)
            delta = _difference(before, now, is_wide=not is_usual)
            products.add(work(_rows(delta if is_usual else delta * scale, columns)))

        over(moved, add)
        return products.sum

    return streamed_rank(total, rows, columns, floor * scale, first.sum if is_usual else None)
