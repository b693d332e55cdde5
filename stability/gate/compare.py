"""Two layouts against each other: which tensors differ, and by how much, a window at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from stability.gate.folder import BYTES, Stored
from stability.gate.layout import HEAD, Layout, is_worked_out
from stability.gate.numbers import (
    CHUNK,
    SPACING,
    count_nonfinite,
    patterns,
    sum_of_squares,
    widen,
)
from stability.gate.rank import Rows, rounding_floor, streamed_rank
from stability.gate.windows import Bytes, Pair, Window, over, same, windows

LONGEST_ROW = 2**22  # elements: a rank is worked out row by row
BLOCK = 2**21  # bytes that a rank is worked out on at a time


@dataclass(frozen=True)
class Change:
    """One tensor that differs: norms before and after, of the difference, and how many elements differ."""

    base_norm: float
    norm: float
    delta_norm: float
    elements: int
    nonfinite_base: int
    nonfinite: int
    rank: int | None = None  # None if it is no matrix, or not finite


@dataclass(frozen=True)
class Comparison:
    """Everything in which two checkpoints' weights differ, by parameter name.

    `norms` are of matrices that do not differ, of the kinds of those that do; `nonfinite` counts NaN and
    infinities in tensors that have no counterpart.
    """

    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    reshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    retyped: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    changes: Mapping[str, Change] = field(default_factory=dict)
    norms: Mapping[str, float] = field(default_factory=dict)
    nonfinite: int = 0

    @property
    def changed(self) -> tuple[str, ...]:
        """Every tensor that is not what it was, sorted."""
        return tuple(sorted({*self.missing, *self.extra, *self.reshaped, *self.changes}))


@dataclass(frozen=True)
class Sums:
    """What one window adds to a tensor's figures."""

    base: float
    edited: float
    delta: float
    elements: int
    nonfinite_base: int
    nonfinite: int


def compare(base: Layout, edited: Layout) -> Comparison:
    """Compare every tensor by its bytes, and take the figures of those that differ.

    A head that one side leaves out because it is the embedding is no difference, nor is a mask that older
    files hold. Tensors of other dtypes are compared by value.

    Raises:
        ModelError: a file ends too soon.
    """
    missing, extra = _without_counterpart(base, edited)
    both = [name for name in base.tensors if name in edited.tensors]
    reshaped = {
        name: (base.tensors[name].shape, edited.tensors[name].shape)
        for name in both
        if base.tensors[name].shape != edited.tensors[name].shape
    }
    retyped = {
        name: (base.tensors[name].dtype, edited.tensors[name].dtype)
        for name in both
        if base.tensors[name].dtype != edited.tensors[name].dtype
    }
    comparable = [name for name in both if name not in reshaped]
    differing = differing_tensors(base.tensors, edited.tensors, comparable)
    changes = {name: _change(base.tensors[name], edited.tensors[name]) for name in differing}
    changes = {name: change for name, change in changes.items() if change.elements}  # retyped, but equal
    edited_kinds = {matrix.kind for matrix in base.matrices if matrix.name in changes}
    peers = [
        matrix.name
        for matrix in base.matrices
        if matrix.kind in edited_kinds and matrix.name in comparable and matrix.name not in changes
    ]
    alone = [edited.tensors[name] for name in (*extra, *reshaped)]
    return Comparison(
        missing=missing,
        extra=extra,
        reshaped=reshaped,
        retyped=retyped,
        changes=changes,
        norms=norms([base.tensors[name] for name in peers], names=peers),
        nonfinite=sum(over([(one, window) for one in alone for window in windows(one)], _nonfinite)),
    )


def differing_tensors(
    base: Mapping[str, Stored], edited: Mapping[str, Stored], names: Iterable[str]
) -> list[str]:
    """Those of the named tensors whose dtype or bytes differ, in the order given."""
    found: set[str] = set()

    def look(window: tuple[str, Window], pair: Pair) -> None:
        name, part = window
        if name not in found and not _same(base[name], edited[name], part, pair):
            found.add(name)

    jobs = []
    names = list(names)
    for name in names:
        if base[name].dtype != edited[name].dtype:
            found.add(name)
        else:
            jobs += [(name, part) for part in windows(base[name])]
    over(jobs, look)
    return [name for name in names if name in found]


def norms(tensors: Iterable[Stored], names: Iterable[str]) -> dict[str, float]:
    """‖W‖_F of each tensor, by the name given to it."""
    jobs = [(name, one, window) for name, one in zip(names, tensors, strict=True) for window in windows(one)]

    def squares(job: tuple[str, Stored, Window], pair: Pair) -> float:
        _, tensor, window = job
        data = pair.base.read(tensor, window)
        return math.fsum(sum_of_squares(chunk) for (chunk,) in _chunks((data, tensor.dtype)))

    totals: dict[str, float] = {}
    for (name, _, _), part in zip(jobs, over(jobs, squares), strict=True):
        totals[name] = totals.get(name, 0.0) + part
    return {name: math.sqrt(total) for name, total in totals.items()}


def _without_counterpart(base: Layout, edited: Layout) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tensors that only one side has, and that the other would need."""

    def only_in(one: Layout, other: Layout) -> tuple[str, ...]:
        return tuple(
            name
            for name, tensor in one.tensors.items()
            if name not in other.tensors
            and not is_worked_out(name, tensor)
            and not (name == HEAD and one.is_tied and other.is_tied and _is_an_embedding(tensor, one))
        )

    return only_in(base, edited), only_in(edited, base)


def _is_an_embedding(head: Stored, layout: Layout) -> bool:
    """Whether the head holds the same bytes as another tensor of its file's model."""
    twins = [
        tensor
        for name, tensor in layout.tensors.items()
        if name != HEAD and (tensor.shape, tensor.dtype) == (head.shape, head.dtype)
    ]
    return any(not differing_tensors({"": head}, {"": twin}, [""]) for twin in twins)


def _same(base: Stored, edited: Stored, window: Window, pair: Pair) -> bool:
    return same(pair.base.read(base, window), pair.edited.read(edited, window))


def _change(base: Stored, edited: Stored) -> Change:
    """The figures of a tensor that differs, in a pass over it, and its rank in some more."""
    is_matrix = len(base.shape) == 2 and base.shape[1] <= LONGEST_ROW
    wider = max(base, edited, key=lambda tensor: BYTES[tensor.dtype])
    whole = base.shape[1] if is_matrix and base.elements else 1
    parts = list(windows(wider, whole, BLOCK))
    sums = over(parts, lambda window, pair: _sums(base, edited, window, pair))
    change = Change(
        base_norm=math.sqrt(sum(part.base for part in sums)),
        norm=math.sqrt(sum(part.edited for part in sums)),
        delta_norm=math.sqrt(sum(part.delta for part in sums)),
        elements=sum(part.elements for part in sums),
        nonfinite_base=sum(part.nonfinite_base for part in sums),
        nonfinite=sum(part.nonfinite for part in sums),
    )
    moved = [part for part, figures in zip(parts, sums, strict=True) if figures.delta > 0]
    if not is_matrix or not moved or not math.isfinite(change.delta_norm):
        return change
    return Change(**{**vars(change), "rank": _rank(base, edited, moved, change.norm)})


def _sums(base: Stored, edited: Stored, window: Window, pair: Pair) -> Sums:
    one, other = pair.base.read(base, window), pair.edited.read(edited, window)
    if base.dtype == edited.dtype and same(one, other):
        squares = math.fsum(sum_of_squares(chunk) for (chunk,) in _chunks((one, base.dtype)))
        bad = 0 if math.isfinite(squares) else _bad(one, base.dtype)
        return Sums(squares, squares, 0.0, 0, bad, bad)
    totals = np.zeros(3)
    for before, now in _chunks((one, base.dtype), (other, edited.dtype)):
        with np.errstate(invalid="ignore", over="ignore"):
            totals += [sum_of_squares(before), sum_of_squares(now), sum_of_squares(now - before)]
    squares_before, squares_now, squares_delta = totals.tolist()
    return Sums(
        squares_before,
        squares_now,
        squares_delta,
        _elements_changed(one, base.dtype, other, edited.dtype),
        0 if math.isfinite(squares_before) else _bad(one, base.dtype),
        0 if math.isfinite(squares_now) else _bad(other, edited.dtype),
    )


def _elements_changed(one: Bytes, dtype: str, other: Bytes, other_dtype: str) -> int:
    """By their bytes where the dtypes are equal, else by value."""
    if dtype == other_dtype:
        return int(np.count_nonzero(patterns(one, dtype) != patterns(other, dtype)))
    return sum(
        int(np.count_nonzero(before != now)) for before, now in _chunks((one, dtype), (other, other_dtype))
    )


def _nonfinite(job: tuple[Stored, Window], pair: Pair) -> int:
    tensor, window = job
    return _bad(pair.edited.read(tensor, window), tensor.dtype)


def _bad(data: Bytes, dtype: str) -> int:
    return sum(count_nonfinite(chunk) for (chunk,) in _chunks((data, dtype)))


def _rank(base: Stored, edited: Stored, moved: list[Window], norm: float) -> int:
    """The rank of the difference, of which `moved` holds every row that is not zero."""
    rows, columns = base.shape
    spacing = max(SPACING.get(tensor.dtype, 0.0) for tensor in (base, edited))

    def total(work: Callable[[Rows], Rows | NDArray[np.float64]]) -> NDArray[np.float64]:
        found: list[NDArray[np.float64]] = []
        adding = Lock()

        def add(window: Window, pair: Pair) -> None:
            size = window.stop - window.start
            before = widen(pair.base.read(base, window), base.dtype, pair.base.room(size))
            now = widen(pair.edited.read(edited, window), edited.dtype, pair.edited.room(size))
            delta = np.subtract(now, before, out=pair.edited.room(size), casting="same_kind")
            part = work(delta.reshape(-1, columns))  # [rows of the window, columns]
            with adding:
                if not found:
                    found.append(np.zeros(part.shape))
                found[0] += part

        over(moved, add)
        return found[0]

    with threadpool_limits(1, "blas"):  # the windows have threads already
        return streamed_rank(total, rows, columns, rounding_floor(norm, rows, columns, spacing))


def _chunks(*sides: tuple[Bytes, str]) -> Iterator[tuple[np.ndarray, ...]]:
    """The numbers of one window or of two, a chunk that fits the cache at a time."""
    data, dtype = sides[0]
    for start in range(0, len(data) // BYTES[dtype], CHUNK):
        yield tuple(
            widen(part[start * BYTES[kind] : (start + CHUNK) * BYTES[kind]], kind) for part, kind in sides
        )
