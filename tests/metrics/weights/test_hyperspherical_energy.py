"""The energy of neurons' directions, against the sum over pairs written out in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stability.metrics.weights.hyperspherical_energy import HypersphericalEnergy
from stability.metrics.weights.steps import energy as module
from stability.metrics.weights.steps.energy import hyperspherical_energy


def reference(rows):
    rows = rows.double().numpy()
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    distances = np.maximum(np.linalg.norm(rows[:, None] - rows[None], axis=2), 1e-6)
    return (1 / distances[~np.eye(len(rows), dtype=bool)]).sum()


@given(
    neurons=st.integers(2, 40),
    d=st.integers(2, 20),
    seed=st.integers(0, 99),
    rows=st.sampled_from([3, 7, 1024]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
)
def test_the_energy_is_the_sum_over_ordered_pairs(neurons, d, seed, rows, dtype):
    matrix = torch.randn(neurons, d, generator=torch.Generator().manual_seed(seed)).to(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS", rows)
        assert hyperspherical_energy(matrix) == pytest.approx(reference(matrix), rel=1e-5)


@pytest.mark.parametrize("angle", [1e-2, 1e-3, 1e-4])
def test_neurons_that_nearly_point_the_same_way_are_told_apart(angle):
    generator = torch.Generator().manual_seed(0)
    first = torch.randn(64, generator=generator, dtype=torch.float64)
    aside = torch.randn(64, generator=generator, dtype=torch.float64)
    aside -= (aside @ first) / (first @ first) * first
    second = 5 * (first / first.norm() + angle * aside / aside.norm())
    matrix = torch.stack([first, second])
    assert hyperspherical_energy(matrix) == pytest.approx(reference(matrix), rel=1e-5)
    assert hyperspherical_energy(matrix) == pytest.approx(2 / angle, rel=1e-4)


def test_equal_directions_count_as_a_millionth_apart():
    matrix = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0]])
    assert hyperspherical_energy(matrix) == pytest.approx(2 * (1e6 + 2 / 2**0.5), rel=1e-6)


def test_the_lengths_of_neurons_do_not_count():
    matrix = torch.randn(30, 8, generator=torch.Generator().manual_seed(1))
    scales = torch.logspace(-3, 3, 30)[:, None]
    assert hyperspherical_energy(matrix * scales) == pytest.approx(hyperspherical_energy(matrix), rel=1e-5)


def test_a_neuron_of_zeros_is_1_away_from_the_others():
    matrix = torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    assert hyperspherical_energy(matrix) == pytest.approx(2 * (1 + 1 + 1 / 2**0.5))


def test_a_matrix_of_nan_reads_nan():
    assert np.isnan(hyperspherical_energy(torch.tensor([[1.0, 2.0], [float("nan"), 1.0]])))


@pytest.mark.parametrize("architecture", ["gpt2", "gptj"])
def test_neurons_are_the_outputs_of_a_matrix_however_it_is_stored(architecture, build_model, context_of):
    model = build_model(architecture)
    context = context_of(model)
    metric = HypersphericalEnergy()
    base = metric.measure(context)
    name = context.map.parameter_name(1, "mlp_in")
    assert base.values[name] == pytest.approx(reference(context.map.weight(name)), rel=1e-5)
    assert context.map.weight(name).shape[0] != context.map.weight(name).shape[1]
    context.map.weight(name)[:, 0] += 3
    after = metric.measure(context_of(model, base=context))
    assert after.values[name] == pytest.approx(reference(context.map.weight(name)), rel=1e-5)
    assert after.values[name] > 1.1 * base.values[name]
    assert {**after.values, name: 0} == {**base.values, name: 0}
