"""The rank of a matrix that is too large to hold: what was changed in a checkpoint, row by row.

Rounding to the stored dtype makes every change full of small singular values, so a rank has to say from where
on it counts. Here it is the number of singular values of ΔW = W' - W above

    max(2 ε ‖W'‖_F (1/√rows + 1/√columns), 1e-5 σ1(ΔW))

where ε is the spacing of the stored dtype at 1 (2^-7 for bfloat16). Rounding every element once makes a
random matrix whose largest singular value is near σ (√rows + √columns), σ being its deviation, ε/√12 of an
element at most (Marchenko and Pastur 1967). The floor is some nine times that, because an edit leaves a
pattern of its own in the rounding (in a rank-1 edit of a 4,096 x 11,008 matrix it reached a quarter of the
floor), and many edits round many times. The second term is float32's arithmetic.

The singular values come from a randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4)
that sees a block of rows at a time. They never exceed the true ones, so the rank is never overstated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

WIDTHS = (16, 64, 256)  # columns of the subspace: the next where the one before is full
SPARE = 8  # columns more than the rank that is read off them
LARGEST_BASIS = 2**25  # elements
UNSURE = 3  # how near to the floor a singular value is looked at once more
RELATIVE = 1e-5  # of the largest singular value: what float32 arithmetic can tell
MOST = WIDTHS[-1]
"""This rank means: this many or more."""

Rows = NDArray[np.float32]
Sums = NDArray[np.float64]
Total = Callable[[Callable[[Rows], Rows | Sums]], Sums]
"""What a function of a block of rows, [n, columns], adds up to over all blocks of a matrix."""


def rounding_floor(norm: float, rows: int, columns: int, spacing: float) -> float:
    """The bound of the singular values of rounding, of one or of several; `norm` is ‖W'‖_F."""
    return 2 * spacing * norm * (1 / math.sqrt(rows) + 1 / math.sqrt(columns))


def first_basis(rows: int, columns: int) -> Rows:
    """The random basis, [columns, width], that `streamed_rank` begins with."""
    return _random(columns, _width(WIDTHS[0], rows, columns))


def applied(block: Rows, basis: Rows) -> Rows:
    """The block's part of (ΔW)ᵀ ΔW Q, [columns, width]."""
    image: Rows = block @ basis
    product: Rows = (image.T @ block).T  # BLAS is faster this way round
    return product


def streamed_rank(
    total: Total, rows: int, columns: int, floor: float, first: NDArray[np.float64] | None = None
) -> int:
    """The number of singular values above `floor` and above 1e-5 of the largest; 256 at most.

    `total` goes over the matrix; rows that are zero may be left out. What lies so near to the floor that
    rounding could have made it may count or not. `first` is what `applied` with `first_basis` adds up to,
    where somebody has gone over the matrix already.
    """
    widths = sorted({_width(width, rows, columns) for width in WIDTHS})
    for width in widths:
        if first is None:
            first = total(partial(applied, basis=_random(columns, width)))
        basis, first = _orthonormal(first), None
        values = _values(total, basis)
        count = _count(values, floor)
        if count > width - SPARE and width < widths[-1]:
            continue  # another iteration can find more only
        if count < width and _is_near(values, floor):
            values = _values(total, _orthonormal(total(partial(applied, basis=basis))))
            count = _count(values, floor)
        if count <= width - SPARE:
            break
    return count


def _values(total: Total, basis: Rows) -> Sums:
    """The singular values of ΔW Q, from the top, for an orthonormal Q [columns, width]."""
    squares = np.linalg.eigvalsh(total(partial(_gram, basis=basis)))[::-1]
    values: Sums = np.sqrt(np.maximum(squares, 0))
    return values


def _limit(values: Sums, floor: float) -> float:
    return max(floor, RELATIVE * float(values[0]))


def _count(values: Sums, floor: float) -> int:
    return int(np.count_nonzero(values > _limit(values, floor)))


def _is_near(values: Sums, floor: float) -> bool:
    """Whether values that are much too small after one iteration, being near to the rest, could matter."""
    limit = _limit(values, floor)
    return bool(np.any((values > limit / UNSURE) & (values < limit * UNSURE)))


def _width(width: int, rows: int, columns: int) -> int:
    return min(width, rows, columns, max(LARGEST_BASIS // columns, 1))


def _random(columns: int, width: int) -> Rows:
    """Gaussian columns of length 1 or so, which are almost at right angles."""
    values = np.random.default_rng(0).standard_normal((columns, width), np.float32)
    return values / np.float32(math.sqrt(columns))


def _gram(block: Rows, basis: Rows) -> Sums:
    """The block's part of (ΔW Q)ᵀ ΔW Q, [width, width], in float64."""
    image = (block @ basis).astype(np.float64)
    product: Sums = image.T @ image
    return product


def _orthonormal(vectors: NDArray[np.float64]) -> Rows:
    """An orthonormal basis of the columns, [columns, width], in float32."""
    scale = np.abs(vectors).max() or 1.0
    basis, _ = np.linalg.qr(vectors / scale)
    return basis.astype(np.float32)
