"""The streamed rank, against the singular values of the whole matrix in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stability.gate.weights.rank import MOST, RELATIVE, applied, first_basis, rounding_floor, streamed_rank
from stability.parts import METRICS
from tests.examples import examples


def in_blocks(matrix, rows=7):
    """Goes over a matrix seven rows at a time, as a file is gone over."""
    narrow = matrix.astype(np.float32)

    def total(work):
        return sum(
            work(narrow[start : start + rows]).astype(np.float64) for start in range(0, len(narrow), rows)
        )

    return total


def counted(matrix, floor):
    values = np.linalg.svd(matrix.astype(np.float64), compute_uv=False)
    return int((values > max(floor, RELATIVE * values[0])).sum())


@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1e-3, 0.5, 3.0])
)
@settings(max_examples=examples(60))
def test_a_small_matrix_has_the_rank_that_its_singular_values_say(rows, columns, seed, floor):
    generator = np.random.default_rng(seed)
    rank = int(generator.integers(1, min(rows, columns) + 1))
    left, right = generator.standard_normal((rows, rank)), generator.standard_normal((rank, columns))
    left, right = np.linalg.qr(left)[0], np.linalg.qr(right.T)[0].T
    matrix = (left * generator.choice([0.01, 1.0, 10.0], rank)) @ right
    assert streamed_rank(in_blocks(matrix), rows, columns, floor) == counted(matrix, floor)


@pytest.mark.parametrize("rank", [1, 8, 9, 40, 56, 57, 200])
@pytest.mark.parametrize("shape", [(300, 700), (700, 300)])
def test_a_change_stored_in_bfloat16_has_the_rank_of_the_edit(rank, shape):
    generator = torch.Generator().manual_seed(rank)
    base = (0.02 * torch.randn(shape, generator=generator)).bfloat16()
    left = torch.linalg.qr(torch.randn(shape[0], rank, generator=generator))[0]
    right = torch.linalg.qr(torch.randn(shape[1], rank, generator=generator))[0]
    edited = (base.float() + 0.8 * left @ right.T).bfloat16()
    delta = (edited.double() - base.double()).numpy()
    floor = rounding_floor(float(edited.double().norm()), *shape, 2.0**-7)
    assert np.linalg.matrix_rank(delta) == min(shape)  # rounding alone has made it full
    assert counted(delta, floor) == rank
    assert streamed_rank(in_blocks(delta, 64), *shape, floor) == rank


@pytest.mark.parametrize(("rank", "value", "floor"), [(6, 5.0, 4.0), (8, 1.5, 1.2), (8, 3.0, 2.8)])
def test_singular_values_just_above_the_floor_are_found(rank, value, floor):
    generator = np.random.default_rng(3)
    rows, columns = 400, 600
    noise = generator.standard_normal((rows, columns)) / (np.sqrt(rows) + np.sqrt(columns))  # of norm 1
    left = np.linalg.qr(generator.standard_normal((rows, rank)))[0]
    right = np.linalg.qr(generator.standard_normal((columns, rank)))[0]
    matrix = noise + value * left @ right.T
    assert counted(matrix, floor) == rank
    assert streamed_rank(in_blocks(matrix, 50), rows, columns, floor) == rank


@given(st.integers(0, 2**32 - 1), st.floats(0.3, 6), st.sampled_from([0.0, 0.02, 0.3]))
@settings(max_examples=examples(40))
def test_a_rank_is_never_overstated(seed, decay, floor):
    generator = np.random.default_rng(seed)
    left = np.linalg.qr(generator.standard_normal((90, 80)))[0]
    right = np.linalg.qr(generator.standard_normal((110, 80)))[0]
    matrix = left * np.exp(-decay * np.arange(80) / 8) @ right.T  # no gap anywhere
    values = np.linalg.svd(matrix, compute_uv=False)
    limit = max(floor, RELATIVE * values[0]) - 1e-6 * values[0]  # float32's rounding
    assert streamed_rank(in_blocks(matrix), 90, 110, floor) <= int((values > limit).sum())


def test_successive_roundings_alone_stay_below_the_floor():
    generator = torch.Generator().manual_seed(0)
    weights = 0.02 * torch.randn(300, 500, generator=generator)
    base = weights.bfloat16()
    edited = base
    for _ in range(20):  # each a step too small to count, and a rounding
        step = 2e-4 * torch.randn(300, 500, generator=generator)
        edited = (edited.float() + step - step.mean()).bfloat16()
        edited = (edited.float() - step).bfloat16()
    delta = (edited.double() - base.double()).numpy()
    floor = rounding_floor(float(edited.double().norm()), 300, 500, 2.0**-7)
    assert streamed_rank(in_blocks(delta, 64), 300, 500, floor) == counted(delta, floor) == 0


def test_a_full_rank_is_said_up_to_256():
    matrix = np.random.default_rng(0).standard_normal((500, 600))
    assert streamed_rank(in_blocks(matrix, 100), 500, 600, 0.0) == MOST


@pytest.mark.parametrize("rank", [1, 8, 9, 70])
def test_a_pass_made_beforehand_is_one_pass_less_and_the_same_rank(rank):
    generator = np.random.default_rng(rank)
    matrix = generator.standard_normal((150, rank)) @ generator.standard_normal((rank, 130))
    passes = []

    def total(work):
        passes.append(work)
        return in_blocks(matrix)(work)

    assert streamed_rank(total, 150, 130, 0.0) == rank
    alone = len(passes)
    passes.clear()
    basis = first_basis(150, 130)
    first = in_blocks(matrix)(lambda block: applied(block, basis))
    assert streamed_rank(total, 150, 130, 0.0, first) == rank
    assert len(passes) == alone - 1


@pytest.mark.parametrize(("rank", "passes"), [(1, 2), (8, 2), (9, 4), (56, 4), (57, 6), (250, 6)])
def test_a_rank_that_nothing_is_near_to_takes_two_passes_a_subspace_and_no_more(rank, passes):
    generator = np.random.default_rng(rank)
    left = np.linalg.qr(generator.standard_normal((280, rank)))[0]
    right = np.linalg.qr(generator.standard_normal((290, rank)))[0]
    made = []

    def total(work):
        made.append(work)
        return in_blocks(left @ right.T, 70)(work)

    assert streamed_rank(total, 280, 290, 0.01) == min(rank, MOST)
    assert len(made) == passes


@given(st.integers(1, 10_000), st.integers(1, 10_000), st.floats(1e-3, 1e3))
def test_the_floor_of_rounding_is_the_same_for_a_matrix_and_its_transpose_and_falls_as_it_grows(
    rows, columns, norm
):
    floor = rounding_floor(norm, rows, columns, 2.0**-7)
    assert rounding_floor(norm, columns, rows, 2.0**-7) == pytest.approx(floor)
    assert rounding_floor(norm, 4 * rows, 4 * columns, 2.0**-7) == pytest.approx(floor / 2)
    assert rounding_floor(norm, rows, rows, 2.0**-7) == pytest.approx(4 * 2.0**-7 * norm / math.sqrt(rows))


def test_the_rank_that_stands_for_any_larger_one_is_the_one_that_the_metric_states():
    assert METRICS.built_in()["delta_rank"].head.largest == MOST == 256
