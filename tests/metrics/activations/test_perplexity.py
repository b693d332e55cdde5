"""Perplexity against transformers' own loss."""

import math

import pytest
import torch

from stability.errors import DataError
from stability.metrics.activations.perplexity import Perplexity
from stability.models import TokenizedText


@pytest.mark.parametrize(
    "architecture",
    [
        "bloom",
        "falcon",
        "gemma2",
        "gemma3_text",
        "gpt2",
        "gptj",
        "llama",
        "mixtral",
        "opt",
        "phi3",
        "qwen3_moe",
    ],
)
def test_it_is_exp_of_the_mean_loss_over_all_predicted_tokens(architecture, build_model, context_of):
    model = build_model(architecture)
    context = context_of(model)
    losses = [
        (model(window[None], labels=window[None]).loss.item(), len(window) - 1)
        for window in context.text.windows
    ]
    mean = sum(loss * n for loss, n in losses) / sum(n for _, n in losses)
    assert Perplexity().measure(context).values[""] == pytest.approx(math.exp(mean), rel=1e-5)


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large(build_model, context_of):
    model = build_model()
    model.transformer.ln_f.weight.zero_()
    model.transformer.ln_f.bias.zero_()
    assert Perplexity().measure(context_of(model)).values[""] == pytest.approx(90, rel=1e-5)


def test_it_is_infinite_where_the_exponential_overflows(build_model, context_of):
    model = build_model()
    context = context_of(model)
    model.transformer.ln_f.weight.mul_(1e6)
    assert Perplexity().measure(context_of(model, base=context)).values[""] == math.inf


def test_text_without_a_next_token_is_a_data_error(build_model, context_of):
    text = TokenizedText((torch.tensor([1]), torch.tensor([2])), "single", (0, 1))
    with pytest.raises(DataError, match="second token"):
        Perplexity().measure(context_of(build_model(), documents=text))
