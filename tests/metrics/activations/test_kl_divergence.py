"""KL divergence against scipy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from stability.errors import DataError
from stability.metrics.activations.kl_divergence import KLDivergence
from stability.metrics.activations.steps.divergence import mean_kl
from stability.models import TokenizedText
from tests.examples import examples


def test_the_unedited_model_is_exactly_0_away_and_the_unit_says_from_how_many_positions(
    build_model, context_of
):
    context = context_of(build_model())
    reading = KLDivergence().measure(context)
    assert reading.values == {"": 0.0}
    n = sum(len(document) - 1 for document in context.text.documents)
    assert reading.unit == f"nats, mean of {n} of {n} positions"


def test_an_edited_model_is_as_far_as_scipy_says(build_model, context_of):
    model = build_model()
    context = context_of(model)

    def distributions():
        rows = [model(document[None]).logits[0, :-1] for document in context.text.documents]
        return torch.cat(rows).double().softmax(-1).numpy()

    before = distributions()
    model.transformer.h[3].mlp.c_proj.weight.mul_(2)
    expected = entropy(before, distributions(), axis=1).mean()
    assert expected > 1e-3
    assert KLDivergence().measure(context_of(model, base=context)).values[""] == pytest.approx(
        expected, rel=1e-4
    )


@given(rows=st.integers(1, 5), outcomes=st.integers(2, 20), seed=st.integers(0, 1000))
@settings(max_examples=examples(60))
def test_it_is_not_negative_and_0_only_for_equal_distributions(rows, outcomes, seed):
    p, q = torch.randn(2, rows, outcomes, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    expected = entropy(np.exp(p.double().numpy()), np.exp(q.double().numpy()), axis=1).mean()
    assert mean_kl(p, q) == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert mean_kl(p, q) > 0
    assert mean_kl(p, p) == 0


def test_what_the_base_excludes_adds_nothing_and_what_only_the_edited_model_excludes_is_infinite():
    half = math.log(0.5)
    sure, split = torch.tensor([[0.0, -math.inf]]), torch.tensor([[half, half]])
    assert mean_kl(sure, split) == pytest.approx(math.log(2))
    assert mean_kl(sure, sure) == 0
    assert mean_kl(split, sure) == math.inf


def test_text_without_a_next_token_is_a_data_error(build_model, context_of):
    text = TokenizedText((torch.tensor([1]),), "single")
    with pytest.raises(DataError, match="second token"):
        KLDivergence().measure(context_of(build_model(), documents=text))
