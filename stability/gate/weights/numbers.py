"""Numbers from the bytes of a tensor, and norms of them that are right at any size.

Half precisions are widened to float32, which holds them exactly. A few hundred squares at a time are summed
in float32, and those sums in float64; where float32 squares over- or underflow, all is done in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from stability.gate.files.folder import BYTES, Stored
from stability.gate.weights.windows import Bytes, Reader, Window

ROW = 256  # values: rounded sums of so many are right to 1e-6 where the processor adds in a few lanes
SMALLEST_SUM, LARGEST_SUM = 1e-24, 1e300  # outside of them, squares may have under- or overflown
STORED: dict[str, type[np.generic]] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16,
    "F8_E4M3": np.uint8, "F8_E5M2": np.uint8, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.uint8,
}  # fmt: skip
"""What numpy reads an element as; bfloat16 and float8, which it lacks, as the integers of their bits."""

SPACING = {"F32": 2.0**-23, "F16": 2.0**-10, "BF16": 2.0**-7, "F8_E4M3": 2.0**-3, "F8_E5M2": 2.0**-2}
"""The distance from 1 to the next number, for dtypes coarser than float64."""

Floats = NDArray[np.float32] | NDArray[np.float64]


def numbers_of(
    reader: Reader, tensor: Stored, window: Window, out: NDArray[np.float32] | None = None
) -> Floats:
    """The numbers of a window, with what an adapter adds to them; `out` as for `widen`."""
    values = widen(reader.read(tensor, window), tensor.dtype, out)
    if tensor.added is not None:
        values += tensor.added.elements(window.start, window.stop)
    return values


def patterns(data: Bytes, dtype: str) -> NDArray[np.generic]:
    """The bits of each element as an integer, by which a NaN equals itself and -0.0 differs from 0.0."""
    return data.view(f"u{BYTES[dtype]}")


def widen(data: Bytes, dtype: str, out: NDArray[np.float32] | None = None) -> Floats:
    """The numbers, exactly: in float32 where it holds them all, else in float64 (64-bit integers rounded).

    `out` is a room that float32 may be written into; what it holds then is overwritten.
    """
    stored = data.view(STORED[dtype])
    if dtype in ("BF16", "F16", "F32") and out is not None:
        room = out[: len(stored)]
        if dtype == "BF16":
            np.copyto(room.view(np.uint32), stored)
            np.left_shift(room.view(np.uint32), 16, out=room.view(np.uint32))
        else:
            with np.errstate(invalid="ignore"):
                np.copyto(room, stored)
        return room
    if dtype == "BF16":
        return widen(data, dtype, np.empty(len(stored), np.float32))
    if dtype in ("F8_E4M3", "F8_E5M2"):
        return _float8_table(dtype)[stored.astype(np.intp)]
    narrow = dtype in ("F32", "F16", "I16", "U16", "I8", "U8", "BOOL")
    with np.errstate(invalid="ignore"):  # a NaN of the signalling kind
        return stored.astype(np.float32) if narrow else stored.astype(np.float64)


def rounded(values: Floats, dtype: str) -> Floats:
    """The numbers as that dtype would hold them: rounded to the nearest, of two to the even one."""
    if dtype == "F64":
        return values
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        single = values.astype(np.float32)
        if dtype == "F16":
            return single.astype(np.float16).astype(np.float32)
        if dtype == "BF16":
            bits = single.view(np.uint32)
            even = (bits + np.uint32(0x7FFF) + ((bits >> 16) & 1)) & np.uint32(0xFFFF0000)
            return np.where(np.isnan(single), single, even.view(np.float32))
        return _rounded_to_float8(single, dtype) if dtype.startswith("F8") else single


def _rounded_to_float8(values: NDArray[np.float32], dtype: str) -> NDArray[np.float32]:
    table = _float8_table(dtype)[:128]  # of the positive patterns, in order
    finite = table[np.isfinite(table)]
    # A number is between two patterns; half-way, it is rounded to the even one.
    above = np.clip(np.searchsorted(finite, np.abs(values)), 1, len(finite) - 1)
    low, high = finite[above - 1], finite[above]
    middle = (low + high) / 2
    is_low = (np.abs(values) < middle) | ((np.abs(values) == middle) & ((above - 1) % 2 == 0))
    past = finite[-1] + (finite[-1] - finite[-2]) / 2
    nearest = np.where(np.abs(values) > past, np.inf, np.where(is_low, low, high))
    return np.copysign(nearest, values).astype(np.float32)


@cache
def _float8_table(dtype: str) -> NDArray[np.float32]:
    """The value of each of the 256 patterns of float8 (Micikevicius et al. 2022, table 1)."""
    mantissa_bits, bias = (3, 7) if dtype == "F8_E4M3" else (2, 15)
    values = []
    for pattern in range(256):
        sign = -1.0 if pattern & 0x80 else 1.0
        exponent = (pattern & 0x7F) >> mantissa_bits
        fraction = (pattern & (2**mantissa_bits - 1)) / 2**mantissa_bits
        if dtype == "F8_E4M3" and pattern & 0x7F == 0x7F:
            value = math.nan
        elif dtype == "F8_E5M2" and exponent == 31:
            value = math.nan if fraction else math.inf
        elif exponent == 0:
            value = fraction * 2.0 ** (1 - bias)
        else:
            value = (1 + fraction) * 2.0 ** (exponent - bias)
        values.append(sign * value)
    return np.array(values, np.float32)


def norm_of(values: Floats) -> float:
    """√Σ x² of one window; a NaN gives NaN, an infinity without one infinity."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = _sum_of_squares(values)
        if SMALLEST_SUM <= squares < LARGEST_SUM or not np.isfinite(values).all():
            return math.sqrt(squares)
        largest = float(np.abs(values).max(initial=0))
        scaled = values.astype(np.float64) / (largest or 1.0)
        return largest * math.sqrt(_sum_of_squares(scaled))


def _sum_of_squares(values: Floats) -> float:
    """Σ x², a row of `ROW` values by one product, and the rows in float64."""
    whole = len(values) // ROW * ROW
    rows = values[:whole].reshape(-1, 1, ROW)
    by_row = np.matmul(rows, rows.transpose(0, 2, 1))
    rest = values[whole:]
    return float(by_row.sum(dtype=np.float64)) + float(np.dot(rest, rest))


def norm_of_parts(norms: Iterable[float]) -> float:
    """The norm of what has parts of these norms; a NaN gives NaN."""
    listed = list(norms)
    return math.nan if any(map(math.isnan, listed)) else math.hypot(*listed)


def count_nonfinite(values: Floats) -> int:
    """How many are NaN or infinite."""
    return int(values.size - np.count_nonzero(np.isfinite(values)))
