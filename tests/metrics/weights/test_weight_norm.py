"""Norms of the weight matrices: all of them, as stored, and only what changed is worked out again."""

import numpy as np
import pytest
import torch

from stability.metrics.weights.weight_norm import WeightNorm


@pytest.mark.parametrize("architecture", ["gpt2", "gptj", "llama"])
def test_every_matrix_has_its_frobenius_norm(architecture, build_model, context_of):
    model = build_model(architecture)
    context = context_of(model)
    reading = WeightNorm().measure(context)
    assert reading.over == "matrix"
    assert set(reading.values) == {matrix.name for matrix in context.map.matrices}
    for name, value in reading.values.items():
        assert value == pytest.approx(np.linalg.norm(model.get_parameter(name).double().numpy()), rel=1e-5)


def test_after_an_edit_only_the_edited_matrix_has_another_norm(build_model, context_of):
    model = build_model()
    metric, context = WeightNorm(), context_of(model)
    base = metric.measure(context)
    edited = context.map.parameter_name(1, "mlp_out")
    model.get_parameter(edited).mul_(1.5)
    after = metric.measure(context_of(model, base=context))
    assert after.values[edited] == pytest.approx(1.5 * base.values[edited])
    assert {**after.values, edited: 0.0} == {**base.values, edited: 0.0}


def test_what_the_snapshot_found_unchanged_is_not_worked_out_again(build_model, context_of):
    model = build_model()
    metric, context = WeightNorm(), context_of(model)
    base = metric.measure(context)
    after = context_of(model, base=context)
    model.get_parameter(context.map.parameter_name(1, "mlp_out")).mul_(1.5)  # behind the context's back
    assert metric.measure(after) == base


def test_the_base_value_is_that_of_the_unedited_matrix_even_when_first_asked_for_after_an_edit(
    build_model, context_of
):
    model = build_model()
    context = context_of(model)
    expected = WeightNorm().measure(context)
    metric = WeightNorm()
    edited = context.map.parameter_name(0, "attn_out")
    pristine = model.get_parameter(edited).clone()
    model.get_parameter(edited).zero_()
    assert metric.measure(context_of(model, base=context)).values[edited] == 0
    model.get_parameter(edited).copy_(pristine)
    assert metric.measure(context_of(model, base=context)) == expected


def test_a_matrix_of_nan_reads_nan(build_model, context_of):
    model = build_model()
    context = context_of(model)
    edited = context.map.parameter_name(2, "mlp_in")
    model.get_parameter(edited)[0, 0] = torch.nan
    assert np.isnan(WeightNorm().measure(context_of(model, base=context)).values[edited])
