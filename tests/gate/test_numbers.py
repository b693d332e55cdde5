"""Numbers from bytes, against torch, for every dtype."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from stability.gate.folder import BYTES
from stability.gate.numbers import SPACING, STORED, count_nonfinite, sum_of_squares, widen

TORCH = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "I64": torch.int64, "I32": torch.int32,
    "I16": torch.int16, "I8": torch.int8, "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip


@pytest.mark.parametrize("dtype", sorted(BYTES))
def test_a_dtype_is_read_as_torch_reads_it(dtype):
    width = BYTES[dtype]
    if dtype == "BOOL":
        raw = np.array([0, 1, 1], np.uint8)
    elif width < 4:  # every pattern there is
        raw = np.arange(256**width, dtype=np.uint32).astype(f"<u{width}").view(np.uint8)
    else:
        raw = np.random.default_rng(0).integers(0, 256, 4096 * width, dtype=np.uint8)
    expected = torch.from_numpy(raw.copy()).view(TORCH[dtype]).to(torch.float64).numpy()
    found = widen(raw, dtype)
    with np.errstate(invalid="ignore"):  # signalling NaN
        assert np.array_equal(found.astype(np.float64), expected, equal_nan=True)
    if dtype in ("BF16", "F16", "F32"):
        room = np.empty(len(found) + 3, np.float32)
        assert np.array_equal(widen(raw, dtype, room), found, equal_nan=True)


def test_every_dtype_that_a_header_may_have_can_be_read():
    assert set(STORED) == set(BYTES) == set(TORCH)
    assert all(np.dtype(STORED[dtype]).itemsize == width for dtype, width in BYTES.items())


@pytest.mark.parametrize("dtype", sorted(SPACING))
def test_the_spacing_is_that_of_the_dtype(dtype):
    assert SPACING[dtype] == torch.finfo(TORCH[dtype]).eps


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e25])
def test_squares_are_right_where_float32_has_no_room_for_them(scale):
    values = (np.random.default_rng(0).standard_normal(5000) * scale).astype(np.float32)
    assert sum_of_squares(values) == pytest.approx(float((values.astype(np.float64) ** 2).sum()), rel=1e-6)


def test_what_is_no_number_is_seen_and_counted():
    values = np.array([1, math.nan, math.inf, 2], np.float32)
    assert math.isnan(sum_of_squares(values))
    assert sum_of_squares(values[2:]) == math.inf
    assert count_nonfinite(values) == 2
