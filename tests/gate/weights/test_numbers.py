"""Numbers from bytes, against torch, for every dtype."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stability.gate.files.folder import BYTES
from stability.gate.weights.numbers import (
    SPACING,
    STORED,
    count_nonfinite,
    norm_of,
    norm_of_parts,
    rounded,
    widen,
)
from tests.examples import examples

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


@pytest.mark.parametrize(("dtype", "largest", "past"), [("F8_E4M3", 448, 464), ("F8_E5M2", 57344, 61440)])
def test_a_number_is_rounded_to_float8_as_torch_rounds_it_and_what_is_too_large_is_not_finite(
    dtype, largest, past
):
    values = np.random.default_rng(0).standard_normal(5000).astype(np.float32) * (largest / 4)
    values = np.concatenate([values[np.abs(values) < past], [largest, largest * 1.01, -largest * 1.01, 0.0]])
    expected = torch.from_numpy(values.astype(np.float32)).to(TORCH[dtype]).float().numpy()
    assert np.array_equal(rounded(values.astype(np.float32), dtype), expected)
    assert not np.isfinite(rounded(np.array([past * 1.01, -past * 1.01], np.float32), dtype)).any()


@pytest.mark.parametrize("dtype", sorted(SPACING))
def test_the_spacing_is_that_of_the_dtype(dtype):
    assert SPACING[dtype] == torch.finfo(TORCH[dtype]).eps


def exact_norm(values):
    return math.sqrt(math.fsum(float(value) ** 2 for value in values))


@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-30, 1e-3, 1.0, 1e19, 1e37])
def test_a_norm_is_right_where_float32_has_no_room_for_squares(scale):
    values = (np.random.default_rng(0).standard_normal(5000) * scale).astype(np.float32)
    assert norm_of(values) == pytest.approx(exact_norm(values), rel=1e-6)


@pytest.mark.parametrize("scale", [5e-324, 1e-200, 1.0, 1e200, 1e305])
def test_a_norm_is_right_where_float64_has_no_room_for_squares(scale):
    values = np.array([3.0, -4.0, 0.0]) * scale
    assert norm_of(values) == pytest.approx(5 * scale, rel=1e-14)


@given(
    st.integers(0, 2000),
    st.floats(2.0**-120, 2.0**100, width=32),
    st.sampled_from(["constant", "normal", "one large"]),
)
@settings(max_examples=examples(200))
def test_a_norm_is_right_at_any_length(length, scale, kind):
    values = np.full(length, scale, np.float32)
    if kind == "normal":
        values *= np.random.default_rng(length).standard_normal(length).astype(np.float32)
    elif length:
        values[length // 2] *= 1e3 if kind == "one large" else 1
    assert norm_of(values) == pytest.approx(exact_norm(values), rel=1e-6)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 0.7071, 1.9999])
def test_a_norm_does_not_drift_over_many_equal_values(value):
    values = np.full(2**22, value, np.float32)  # a plain dot is wrong by 1e-5 here
    assert norm_of(values) == pytest.approx(float(values[0]) * 2**11, rel=1e-6)


@given(st.lists(st.lists(st.floats(-1e300, 1e300)), max_size=5))
def test_a_norm_is_that_of_its_parts(parts):
    whole = np.array([value for part in parts for value in part])
    assert norm_of_parts([norm_of(np.array(part)) for part in parts]) == pytest.approx(norm_of(whole))


def test_what_is_no_number_is_seen_and_counted():
    values = np.array([1, math.nan, math.inf, 2], np.float32)
    assert math.isnan(norm_of(values))
    assert norm_of(values[2:]) == math.inf
    assert math.isnan(norm_of_parts([math.inf, math.nan]))
    assert count_nonfinite(values) == 2
