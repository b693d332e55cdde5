"""The rank of a matrix that is too large to hold: what was changed in a checkpoint, row by row.

Rounding to the stored dtype makes every change full of small singular values, so a rank has to say from where
on it counts. Here it is the number of singular values of ΔW = W' - W above

    max(2 ε ‖W'‖_F (1/√rows + 1/√columns), 1e-5 σ1(ΔW))

where ε is the spacing of the stored dtype at 1 (2^-7 for bfloat16). Rounding every element once makes a
random matrix whose largest singular value lies near σ (√rows + √columns), σ being its deviation, ε/√12 of an
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
"""A rank of so many stands for that many or more."""

Rows = NDArray[np.float32]
Sums = NDArray[np.float64]
Total = Callable[[Callable[[Rows], Rows | Sums]], Sums]
"""What a function of a block of rows, [n, columns], adds up to over all blocks of a matrix."""


def rounding_floor(norm: float, rows: int, columns: int, spacing: float) -> float:
    """Above which no singular value of a rounding, or of some, lies; `norm` is ‖W'‖_F."""
    return 2 * spacing * norm * (1 / math.sqrt(rows) + 1 / math.sqrt(columns))


def streamed_rank(total: Total, rows: int, columns: int, floor: float) -> int:
    """How many singular values of a matrix lie above `floor` and above 1e-5 of the largest; 256 at most.

    `total` goes over the matrix; rows that are zero may be left out. What lies so near to the floor that
    rounding could have made it may count or not.
    """
    full = min(rows, columns)
    for width in WIDTHS:
        width = min(width, full, max(LARGEST_BASIS // columns, 1))
        found = _values(total, columns, width, floor)
        count = int(np.count_nonzero(found > _limit(found, floor)))
        if width in (full, MOST) or count <= width - SPARE:
            break
    return count


def _limit(values: Sums, floor: float) -> float:
    return max(floor, RELATIVE * float(values[0]))


def _values(total: Total, columns: int, width: int, floor: float) -> Sums:
    """The largest `width` singular values, from the top; of two iterations if one is near the floor.

    After one they may be a good deal too small where they are not much larger than what is left over.
    """
    generator = np.random.default_rng(0)
    basis = _orthonormal(generator.standard_normal((columns, width)))
    basis = _orthonormal(total(partial(_applied, basis=basis)))
    both = total(partial(_applied_and_gram, basis=basis))  # [columns + width, width]
    values = _roots(both[columns:])
    limit = _limit(values, floor)
    if not np.any((values > limit / UNSURE) & (values < limit * UNSURE)):
        return values
    return _roots(total(partial(_gram, basis=_orthonormal(both[:columns]))))


def _roots(gram: Sums) -> Sums:
    """The singular values, from the top, of what the Gram matrix is of."""
    values: Sums = np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0))
    return values


def _applied(block: Rows, basis: Rows) -> Rows:
    """The block's part of (ΔW)ᵀ ΔW Q, [columns, width]."""
    product: Rows = block.T @ (block @ basis)
    return product


def _gram(block: Rows, basis: Rows) -> Sums:
    """The block's part of (ΔW Q)ᵀ ΔW Q, [width, width], in float64."""
    image = (block @ basis).astype(np.float64)
    product: Sums = image.T @ image
    return product


def _applied_and_gram(block: Rows, basis: Rows) -> Sums:
    """Both, one above the other."""
    image = block @ basis
    wide = image.astype(np.float64)
    return np.concatenate([block.T @ image, wide.T @ wide])


def _orthonormal(vectors: NDArray[np.float64]) -> Rows:
    """An orthonormal basis of the columns, [columns, width], in float32."""
    scale = np.abs(vectors).max() or 1.0
    basis, _ = np.linalg.qr(vectors / scale)
    return basis.astype(np.float32)
