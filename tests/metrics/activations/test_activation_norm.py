"""Residual-stream norms by layer against transformers' hidden states, and against the unedited model."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from stability.errors import DataError
from stability.metrics.activations.activation_norm import ActivationNorm
from stability.metrics.activations.activation_norm_median import ActivationNormMedian
from stability.models import TokenizedText


def token_norms(model, windows, skip):
    """[layers, tokens] in float64, from a copy of the model that has no final norm, a window at a time."""
    bare = copy.deepcopy(model)
    bare.transformer.ln_f = nn.Identity()
    each = [
        torch.stack(bare(window[None], output_hidden_states=True).hidden_states[1:])[:, 0, skip:]
        for window in windows
    ]
    return np.linalg.norm(torch.cat(each, dim=1).double().numpy(), axis=-1)


@pytest.mark.parametrize("skip", [0, 1, 4])
def test_it_is_the_mean_norm_of_the_residual_stream_after_each_block(skip, build_model, context_of):
    model = build_model()
    context = context_of(model, text={"skip_tokens": skip})
    reading = ActivationNorm().measure(context)
    assert reading.over == "layer"
    expected = token_norms(model, context.text.windows, skip).mean(1)
    assert list(reading.values) == ["0", "1", "2", "3"]
    assert list(reading.values.values()) == pytest.approx(expected.tolist(), rel=1e-5)


def test_a_first_token_of_huge_norm_is_left_out_by_default(build_model, context_of):
    model = build_model()
    usual = ActivationNorm().measure(context_of(model)).values["0"]
    model.transformer.wpe.weight[0] *= 1e4
    context = context_of(model)
    assert ActivationNorm().measure(context).values["0"] < 3 * usual
    context = context_of(model, text={"skip_tokens": 0})
    assert ActivationNorm().measure(context).values["0"] > 10 * usual


def test_on_the_unedited_model_every_median_ratio_is_1(build_model, context_of):
    context = context_of(build_model())
    assert ActivationNormMedian().measure(context).values == {str(layer): 1.0 for layer in range(4)}


def test_the_median_is_over_each_tokens_own_ratio(build_model, context_of):
    model = build_model()
    context = context_of(model)
    before = token_norms(model, context.text.windows, 1)
    model.transformer.h[1].mlp.c_proj.weight.mul_(3)
    after = token_norms(model, context.text.windows, 1)
    values = ActivationNormMedian().measure(context_of(model, base=context)).values
    expected = np.median(after / before, axis=1)
    assert list(values.values()) == pytest.approx(expected.tolist(), rel=1e-5)
    assert values["0"] == 1.0
    assert values["1"] > 1.05


def test_text_that_skip_tokens_leaves_nothing_of_is_a_data_error(build_model, context_of):
    text = TokenizedText((torch.tensor([1, 2, 3]), torch.tensor([4, 5])), "short", (0, 1))
    context = context_of(build_model(), documents=text, text={"skip_tokens": 3})
    for metric in (ActivationNorm(), ActivationNormMedian()):
        with pytest.raises(
            DataError, match=r"skip_tokens: 3 .* the longest window of the text has 3, and 4 are needed"
        ):
            metric.measure(context)
