"""How far matrices have moved, in the Frobenius and in the spectral norm, against numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stability.errors import ModelError
from stability.metrics.weights.delta_norm import DeltaNorm
from stability.metrics.weights.delta_spectral_norm import DeltaSpectralNorm
from stability.metrics.weights.steps.matrices import ratio

METRICS = [DeltaNorm, DeltaSpectralNorm]


def edit(model, context, layer=1, kind="mlp_out", size=0.3):
    name = context.map.parameter_name(layer, kind)
    parameter = model.get_parameter(name)
    generator = torch.Generator().manual_seed(5)
    parameter.add_(size * torch.randn(parameter.shape, generator=generator).to(parameter.dtype))
    return name


@pytest.mark.parametrize("metric", METRICS)
def test_the_unedited_model_has_not_moved(metric, build_model, context_of):
    context = context_of(build_model())
    values = metric().measure(context).values
    assert values == {matrix.name: 0.0 for matrix in context.map.matrices}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("architecture", ["gpt2", "gptj", "llama"])
def test_the_edited_matrix_reads_its_distance_over_its_former_size(
    architecture, dtype, build_model, context_of
):
    model = build_model(architecture).to(dtype)
    context = context_of(model)
    name = context.map.parameter_name(1, "mlp_out")
    before = model.get_parameter(name).double().numpy().copy()
    edit(model, context)
    delta = model.get_parameter(name).double().numpy() - before
    after = context_of(model, base=context)

    frobenius = DeltaNorm().measure(after).values
    spectral = DeltaSpectralNorm().measure(after).values

    assert frobenius.pop(name) == pytest.approx(np.linalg.norm(delta) / np.linalg.norm(before), rel=1e-5)
    assert spectral.pop(name) == pytest.approx(np.linalg.norm(delta, 2) / np.linalg.norm(before, 2), rel=1e-4)
    assert set(frobenius.values()) == set(spectral.values()) == {0.0}


@pytest.mark.parametrize("metric", METRICS)
def test_what_the_snapshot_found_unchanged_is_not_worked_out(metric, build_model, context_of):
    model = build_model()
    context = context_of(model)
    after = context_of(model, base=context)
    name = edit(model, context)  # behind the context's back
    assert metric().measure(after).values[name] == 0


@pytest.mark.parametrize("metric", METRICS)
def test_an_edit_undone_reads_0_again(metric, build_model, context_of):
    model = build_model()
    context, measured = context_of(model), metric()
    name = edit(model, context)
    assert measured.measure(context_of(model, base=context)).values[name] > 0
    context.snapshot.restore(model)
    assert measured.measure(context_of(model, base=context)).values[name] == 0


@pytest.mark.parametrize("metric", METRICS)
def test_a_matrix_of_another_shape_is_a_model_error_that_names_it(metric, build_model, context_of):
    model = build_model()
    context = context_of(model)
    mlp = model.transformer.h[1].mlp
    mlp.c_proj.weight = nn.Parameter(torch.ones(7, 24), requires_grad=False)
    with pytest.raises(ModelError, match=r"h\.1\.mlp\.c_proj\.weight has shape \[7, 24\].*\[96, 24\]"):
        metric().measure(context_of(model, base=context))


@given(value=st.floats(0, 1e30), base=st.floats(1e-30, 1e30))
def test_a_ratio_over_nothing_is_infinite_unless_nothing_moved(value, base):
    assert ratio(value, base) == value / base
    assert ratio(value, 0.0) == (float("inf") if value > 0 else 0.0)
