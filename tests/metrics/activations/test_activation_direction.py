"""Mean cosines between the residual streams of two models."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stability.errors import DataError
from stability.metrics.activations.activation_direction import ActivationDirection
from stability.metrics.activations.steps.layers import mean_cosine
from stability.models import TokenizedText
from stability.record import Sample
from tests.examples import examples


def test_on_the_unedited_model_it_is_exactly_1(build_model, context_of):
    context = context_of(build_model())
    assert ActivationDirection().measure(context).values == {str(layer): 1.0 for layer in range(4)}


def test_after_an_edit_it_is_the_mean_cosine_to_the_stream_before(build_model, context_of):
    model = build_model()
    context = context_of(model)
    before = context.observation.features.double().numpy()
    model.transformer.h[2].mlp.c_proj.weight.mul_(-4)
    edited = context_of(model, base=context)
    after = edited.observation.features.double().numpy()
    lengths = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
    expected = ((before * after).sum(-1) / lengths).mean(1)
    values = ActivationDirection().measure(edited).values
    assert list(values.values()) == pytest.approx(expected.tolist(), abs=1e-9)
    assert values["1"] == 1.0
    assert values["2"] < 0.99


def test_a_mean_of_some_tokens_says_of_how_many_and_one_of_all_says_nothing(build_model, context_of):
    model = build_model()
    counted = sum(len(document) - 1 for document in context_of(model).text.documents)
    for tokens, sample in ((100, Sample(measured=100, of=counted, what="tokens")), (counted, None)):
        context = context_of(model, probes={"tokens": tokens})
        assert ActivationDirection().measure(context).sample == sample


@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3))
@settings(max_examples=examples(50))
def test_a_cosine_knows_no_length_and_is_minus_1_for_the_opposite(seed, scale):
    one, other = torch.randn(2, 9, 7, generator=torch.Generator().manual_seed(seed))
    cosine = mean_cosine(one, other)
    assert mean_cosine(one, other * scale) == pytest.approx(cosine, abs=1e-5)
    assert mean_cosine(other, one) == cosine
    assert mean_cosine(one, -other) == -cosine
    assert mean_cosine(one, one) == 1.0
    assert mean_cosine(one, -one) == -1.0


def test_text_that_gives_no_feature_tokens_is_a_data_error(build_model, context_of):
    text = TokenizedText((torch.tensor([1]), torch.tensor([2])), "single", (0, 1))
    with pytest.raises(DataError, match=r"skip_tokens: 1 .* has 1, and 2 are needed"):
        ActivationDirection().measure(context_of(build_model(), documents=text))
