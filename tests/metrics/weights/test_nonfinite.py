"""Numbers that are none: in the weights, and with whole weights in the logits."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stability.metrics.weights.nonfinite import NonFinite
from stability.metrics.weights.steps.finite import count_nonfinite


def test_a_whole_model_reads_0(build_model, context_of):
    reading = NonFinite().measure(context_of(build_model()))
    assert reading.values == {"": 0.0}


def test_nan_and_infinite_weights_are_counted_and_the_model_is_not_run(build_model, context_of, monkeypatch):
    model = build_model()
    context = context_of(model)
    model.transformer.h[1].mlp.c_fc.weight[0, :3] = torch.tensor([math.nan, math.inf, -math.inf])
    model.transformer.wpe.weight[2, 2] = math.inf
    after = context_of(model, base=context)
    monkeypatch.setattr(model, "forward", None)
    reading = NonFinite().measure(after)
    assert reading.values == {"": 4.0}
    assert reading.unit == "weights"


def test_weights_that_are_whole_but_overflow_are_found_in_the_logits(build_model, context_of):
    model = build_model()
    context = context_of(model)
    predictions = len(context.observation.nll)
    model.transformer.ln_f.weight.fill_(1e38)
    model.transformer.ln_f.bias.fill_(3e38)
    reading = NonFinite().measure(context_of(model, base=context))
    assert reading.unit == "logits"
    assert 0 < reading.values[""] <= predictions * model.config.vocab_size


def test_the_unedited_weights_are_counted_once(build_model, context_of):
    model = build_model()
    metric, context = NonFinite(), context_of(model)
    metric.measure(context)
    after = context_of(model, base=context)
    model.transformer.h[0].ln_1.weight[0] = math.nan  # behind the context's back
    assert metric.measure(after).unit == "logits"


@given(
    values=st.lists(st.floats(width=32), max_size=30),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16, torch.float64]),
)
def test_the_count_is_that_of_python(values, dtype):
    stored = torch.tensor(values).to(dtype)
    assert count_nonfinite(stored) == sum(not math.isfinite(value) for value in stored.double().tolist())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_finite_values_whose_sum_overflows_are_not_counted(dtype):
    assert count_nonfinite(torch.full((100,), torch.finfo(dtype).max, dtype=dtype)) == 0
