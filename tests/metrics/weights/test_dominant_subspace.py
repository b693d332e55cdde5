"""The overlap of leading singular subspaces, against numpy's dense decomposition."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stability.metrics.weights.dominant_subspace import DominantSubspace
from stability.metrics.weights.steps.subspace import dominant, overlap


def reference(before, after):
    before, after = before.double().numpy(), after.double().numpy()
    u0, values, v0 = np.linalg.svd(before, full_matrices=False)
    energy = np.cumsum(values**2) / np.sum(values**2)
    k = int(np.argmax(energy >= 0.5)) + 1
    u, _, v = np.linalg.svd(after, full_matrices=False)
    left = np.linalg.norm(u0[:, :k].T @ u[:, :k]) ** 2 / k
    right = np.linalg.norm(v0[:k] @ v[:k].T) ** 2 / k
    return k, min(left, right)


@given(
    rows=st.integers(3, 30),
    columns=st.integers(3, 30),
    size=st.floats(0.01, 3),
    seed=st.integers(0, 99),
)
def test_the_overlap_is_that_of_the_dense_decomposition(rows, columns, size, seed):
    generator = torch.Generator().manual_seed(seed)
    before = torch.randn(rows, columns, generator=generator)
    after = before + size * torch.randn(rows, columns, generator=generator)
    k, expected = reference(before, after)
    base = dominant(before, share=0.5)
    now = dominant(after, count=base.count)
    assert base.count == k
    found = min(overlap(base.left, now.left), overlap(base.right, now.right))
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("architecture", ["gpt2", "gptj"])
def test_only_a_changed_matrix_can_leave_its_subspace(architecture, build_model, context_of):
    model = build_model(architecture)
    context, metric = context_of(model), DominantSubspace()
    assert set(metric.measure(context).values.values()) == {1.0}
    name = context.map.parameter_name(1, "mlp_out")
    before = model.get_parameter(name).clone()
    generator = torch.Generator().manual_seed(2)
    model.get_parameter(name).add_(0.2 * torch.randn(before.shape, generator=generator))
    values = metric.measure(context_of(model, base=context)).values
    assert values.pop(name) == pytest.approx(reference(before, model.get_parameter(name))[1], abs=1e-5)
    assert set(values.values()) == {1.0}


def test_a_change_of_the_weak_directions_or_of_scale_leaves_the_subspace(build_model, context_of):
    model = build_model()
    context = context_of(model)
    name = context.map.parameter_name(0, "attn_out")
    weight = model.get_parameter(name)
    u, values, v = np.linalg.svd(weight.double().numpy())
    weight.copy_(torch.tensor(3 * weight.numpy() + 0.5 * values[-1] * np.outer(u[:, -1], v[-1])))
    found = DominantSubspace().measure(context_of(model, base=context)).values[name]
    assert found == pytest.approx(1, abs=1e-6)


def test_strong_new_directions_take_the_place_of_the_old(build_model, context_of):
    model = build_model()
    context = context_of(model)
    name = context.map.parameter_name(0, "attn_out")
    k = reference(model.get_parameter(name), model.get_parameter(name))[0]
    u, _, v = np.linalg.svd(model.get_parameter(name).double().numpy())
    weak = 100 * u[:, -k:] @ v[-k:]
    model.get_parameter(name).add_(torch.tensor(weak, dtype=torch.float32))
    found = DominantSubspace().measure(context_of(model, base=context)).values[name]
    assert 2 * k <= 24
    assert found < 1e-3


def test_a_matrix_that_is_zeroed_or_not_finite_reads_0_or_nan(build_model, context_of):
    model = build_model()
    context, metric = context_of(model), DominantSubspace()
    zero, broken = context.map.parameter_name(0, "mlp_in"), context.map.parameter_name(1, "mlp_in")
    model.get_parameter(zero).zero_()
    model.get_parameter(broken)[0, 0] = torch.inf
    values = metric.measure(context_of(model, base=context)).values
    assert values[zero] == 0
    assert np.isnan(values[broken])
