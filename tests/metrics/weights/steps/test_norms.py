"""Frobenius norms against numpy in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stability.metrics.weights.steps.norms import CPU_CHUNK, frobenius_norm
from tests.examples import examples

EXPONENTS = {  # of the largest magnitude, in powers of ten
    torch.float64: (-300, 300),
    torch.float32: (-43, 38),
    torch.bfloat16: (-38, 38),
    torch.float16: (-6, 4),
}


def reference(values: torch.Tensor, minus: torch.Tensor | None = None) -> float:
    """Scaled by the largest magnitude, so that float64 neither over- nor underflows."""
    wide = values.double().numpy()
    wide = wide if minus is None else wide - minus.double().numpy()
    largest = np.abs(wide).max(initial=0.0)
    return float(largest * np.sqrt(np.square(wide / largest).sum())) if largest > 0 else 0.0


@given(
    dtype=st.sampled_from(list(EXPONENTS)),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    share=st.floats(0, 1),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=examples(200))
def test_the_norm_is_right_to_1e_6_in_every_dtype_and_at_every_magnitude(dtype, rows, columns, share, seed):
    low, high = EXPONENTS[dtype]
    generator = torch.Generator().manual_seed(seed)
    exponent = low + share * (high - low)
    values = (torch.rand(rows, columns, generator=generator, dtype=torch.float64) * 10**exponent).to(dtype)
    assert frobenius_norm(values) == pytest.approx(reference(values), rel=1e-6, abs=0)


@given(
    dtype=st.sampled_from(list(EXPONENTS)),
    share=st.floats(0, 0.99),
    step=st.floats(1e-4, 1),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=examples(100))
def test_the_norm_of_a_difference_is_right_as_the_values_are_stored(dtype, share, step, seed):
    low, high = EXPONENTS[dtype]
    generator = torch.Generator().manual_seed(seed)
    base = torch.randn(23, 31, generator=generator, dtype=torch.float64) * 0.1
    moved = base + step * torch.randn(23, 31, generator=generator, dtype=torch.float64) * 0.1
    scale = 10 ** (low + share * (high - low))
    base, moved = (base * scale).to(dtype), (moved * scale).to(dtype)
    assert frobenius_norm(moved, minus=base) == pytest.approx(reference(moved, base), rel=1e-6, abs=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("value", [0.1, 0.7071])
def test_a_large_constant_matrix_on_which_plain_sums_drift_is_right(dtype, value):
    values = torch.full((5 * CPU_CHUNK + 17,), value, dtype=dtype)
    assert frobenius_norm(values) == pytest.approx(reference(values), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_norm_over_many_chunks_and_a_rest_is_right(dtype):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3 * CPU_CHUNK + 5, generator=generator).to(dtype)
    other = torch.randn(3 * CPU_CHUNK + 5, generator=generator).to(dtype)
    assert frobenius_norm(values) == pytest.approx(reference(values), rel=1e-6)
    assert frobenius_norm(values, minus=other) == pytest.approx(reference(values, other), rel=1e-6)


def test_one_large_value_among_values_whose_squares_underflow_is_not_lost():
    values = torch.full((2 * CPU_CHUNK,), 1e-25)
    values[-1] = 1e25
    assert frobenius_norm(values) == pytest.approx(1e25, rel=1e-6)
    assert frobenius_norm(values[:CPU_CHUNK]) == pytest.approx(1e-25 * CPU_CHUNK**0.5, rel=1e-6)


def test_views_have_the_norm_of_what_they_show():
    values = torch.arange(60.0).reshape(6, 10)
    assert frobenius_norm(values.T) == frobenius_norm(values)
    assert frobenius_norm(values[1:, ::3]) == pytest.approx(reference(values[1:, ::3].contiguous()))
    assert frobenius_norm(values[1:], minus=values.T.contiguous().T[:-1]) == pytest.approx(10 * 50**0.5)


@pytest.mark.parametrize("dtype", list(EXPONENTS))
def test_nan_and_infinity_propagate(dtype):
    values = torch.ones(7, dtype=dtype)
    values[3] = math.inf
    assert frobenius_norm(values) == math.inf
    values[5] = math.nan
    assert math.isnan(frobenius_norm(values))


@pytest.mark.parametrize("dtype", list(EXPONENTS))
def test_equal_tensors_are_exactly_nothing_apart(dtype):
    values = torch.randn(1000, generator=torch.Generator().manual_seed(1)).to(dtype)
    assert frobenius_norm(values, minus=values.clone()) == 0
    assert frobenius_norm(values[:0]) == 0


def test_the_tensors_are_left_as_they_were():
    values, other = torch.arange(10.0), torch.ones(10)
    frobenius_norm(values, minus=other)
    assert values.tolist() == list(range(10))
    assert other.tolist() == [1.0] * 10


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="shape"):
        frobenius_norm(torch.zeros(2, 3), minus=torch.zeros(3, 2))
