"""Numbers from the bytes of a tensor, and sums of squares of them that are right at any size.

Half precisions are widened to float32, which holds them exactly; a chunk that fits the cache is squared in
place and summed pairwise, and the chunks are added in float64, as `stability.metrics.norms` does.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from stability.gate.folder import BYTES
from stability.gate.windows import Bytes

CHUNK = 2**17  # values
SMALLEST_SUM = 1e-26  # below it, squares lost to underflow could be more than 1e-6 of a chunk's sum
STORED: dict[str, type[np.generic]] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": np.uint16,
    "F8_E4M3": np.uint8, "F8_E5M2": np.uint8, "I64": np.int64, "I32": np.int32, "I16": np.int16,
    "I8": np.int8, "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.uint8,
}  # fmt: skip
"""What numpy reads an element as; bfloat16 and float8, which it lacks, as the integers of their bits."""

SPACING = {"F32": 2.0**-23, "F16": 2.0**-10, "BF16": 2.0**-7, "F8_E4M3": 2.0**-3, "F8_E5M2": 2.0**-2}
"""The distance from 1 to the next number, for dtypes coarser than float64."""

Floats = NDArray[np.float32] | NDArray[np.float64]


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


def sum_of_squares(values: Floats) -> float:
    """Σ x² of a chunk; a NaN gives NaN, an infinity without one infinity."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        total = float(np.square(values).sum())
        if not SMALLEST_SUM <= total < math.inf and values.dtype == np.float32:
            total = float(np.square(values, dtype=np.float64).sum())
    return total


def count_nonfinite(values: Floats) -> int:
    """How many are NaN or infinite."""
    return int(values.size - np.count_nonzero(np.isfinite(values)))
