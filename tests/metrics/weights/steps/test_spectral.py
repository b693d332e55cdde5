"""The largest singular value against numpy's SVD in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stability.metrics.weights.steps.spectral import DIRECT, spectral_norm
from tests.examples import examples

LARGE = DIRECT + 88


def draw(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


def with_singular_values(values: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    left, right = (torch.linalg.qr(draw(size, len(values), size))[0] for size in (rows, columns))
    return (left * values) @ right.T


MATRICES = {
    "random, wide": lambda n: draw(n, 2 * n),
    "random, tall": lambda n: draw(n + 50, n),
    "of rank 1, as an edit": lambda n: draw(n, 1) @ draw(1, n + 9, 1) * 1e-3,
    "of rank 1 and rounding": lambda n: draw(n, 1) @ draw(1, n, 1) + 1e-3 * draw(n, n, 2),
    "of rank 20": lambda n: draw(n, 20) @ draw(20, n, 1),
    "with a leading pair that nearly agrees": lambda n: with_singular_values(
        torch.cat([torch.tensor([1.0, 0.9999]), torch.linspace(0.99, 0.1, n - 2)]), n, n + 3
    ),
    "with all values nearly equal": lambda n: with_singular_values(torch.linspace(1, 1.001, n), n, n),
    "with a single element": lambda n: torch.zeros(n, n).index_put_(
        (torch.tensor(3), torch.tensor(4)), torch.tensor(-2.0)
    ),
}


@pytest.mark.parametrize("size", [60, LARGE])
@pytest.mark.parametrize("kind", list(MATRICES))
def test_the_largest_singular_value_is_right_to_1e_4(kind, size):
    matrix = MATRICES[kind](size)
    exact = np.linalg.svd(matrix.double().numpy(), compute_uv=False)[0]
    assert spectral_norm(matrix) == pytest.approx(exact, rel=1e-4)


@given(exponent=st.floats(-44, 34), seed=st.integers(0, 1000))
@settings(max_examples=examples(40))
def test_it_scales_with_the_matrix_as_far_as_the_dtype_goes(exponent, seed):
    matrix = (draw(9, 14, seed).double() * 10**exponent).float()
    exact = np.linalg.svd(matrix.double().numpy(), compute_uv=False)[0]
    assert spectral_norm(matrix) == pytest.approx(exact, rel=1e-4, abs=0)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_a_large_matrix_of_tiny_or_huge_values_neither_vanishes_nor_overflows(scale):
    matrix = draw(LARGE, LARGE)
    assert spectral_norm(matrix * scale) == pytest.approx(spectral_norm(matrix) * scale, rel=1e-4)


def test_halves_are_not_rounded_further():
    matrix = draw(40, 70).to(torch.bfloat16)
    assert spectral_norm(matrix) == pytest.approx(spectral_norm(matrix.double()), rel=1e-6)


@pytest.mark.parametrize("size", [5, LARGE])
def test_zero_is_zero_and_what_is_not_finite_is_nan(size):
    matrix = torch.zeros(size, size)
    assert spectral_norm(matrix) == 0
    matrix[1, 2] = math.inf
    assert math.isnan(spectral_norm(matrix))


def test_it_gives_the_same_figure_again_and_draws_no_random_numbers():
    matrix = draw(LARGE, LARGE)
    state = torch.random.get_rng_state()
    assert spectral_norm(matrix) == spectral_norm(matrix)
    assert torch.equal(torch.random.get_rng_state(), state)
