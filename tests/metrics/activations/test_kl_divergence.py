"""KL divergence against float64 forward passes, a window at a time, at every position."""

import copy
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy
from torch import nn
from transformers import GPT2LMHeadModel

from stability.data.documents import load_documents
from stability.errors import DataError
from stability.metrics.activations.kl_divergence import KLDivergence
from stability.metrics.scoring import observation, reference
from stability.metrics.scoring.reference import divergences
from stability.models import TokenizedText, load_model, tokenize_text
from stability.record import Sample
from stability.suite import ModelSpec
from tests.examples import examples

LLAMA = Path(os.environ.get("STABILITY_DATA", "")) / "models" / "stories260K" / "hf"


def log_probabilities(model, text):
    """[positions, vocabulary] float64, by plain forward passes; in float64 unless the model is in half."""
    exact = copy.deepcopy(model)
    exact = exact.double() if next(model.parameters()).dtype == torch.float32 else exact
    with torch.no_grad():
        rows = [exact(window[None]).logits[0, :-1].double() for window in text.windows]
    return torch.cat(rows).log_softmax(-1)


def expected_kl(before, after):
    return (before.exp() * (before - after)).sum(-1).mean().item()


@pytest.fixture
def _little_memory(monkeypatch):
    """As with a vocabulary so large that few distributions would be kept, and few rows computed at once."""
    monkeypatch.setattr(reference, "KEPT_LOG_PROBABILITIES", 5 * 90)
    monkeypatch.setattr(observation, "LOGITS_AT_ONCE", 7 * 90)


@pytest.mark.usefixtures("_little_memory")
def test_the_unedited_model_is_exactly_0_away_from_itself_and_so_is_one_that_was_not_changed(
    build_model, context_of
):
    model = build_model()
    context = context_of(model)
    for seen in (context, context_of(model, base=context)):
        reading = KLDivergence().measure(seen)
        assert reading.values == {"": 0.0}
        assert (reading.unit, reading.sample) == ("nats", None)


def scaled(model):
    model.get_input_embeddings().weight.mul_(1.1)  # in gpt2 and gemma2 the head's own weight


def head_scaled(model):
    model.get_output_embeddings().weight.mul_(1.1)


def head_replaced(model):
    head = nn.Linear(24, 90)
    model.lm_head = head.requires_grad_(False)


class Adapted(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.inside = inside

    def forward(self, hidden):
        return self.inside(hidden) + hidden.sum(-1, keepdim=True) * torch.linspace(
            0, 1, 90, dtype=hidden.dtype
        )


def head_wrapped(model):
    model.set_output_embeddings(Adapted(model.get_output_embeddings()))


def hooked(model):
    def negate(_module, _args, output):
        output.logits = -output.logits
        return output

    model.register_forward_hook(negate)


def uncapped(model):
    model.config.final_logit_softcapping = None


EDITS = [
    ("gpt2", scaled),
    ("gemma2", scaled),
    ("llama", head_scaled),
    ("gptj", head_scaled),  # whose head has a bias
    ("gptj", head_replaced),
    ("llama", head_wrapped),
    ("gemma2", hooked),
    ("gemma2", uncapped),
]


@pytest.mark.usefixtures("_little_memory")
@pytest.mark.parametrize(("architecture", "edit"), EDITS)
def test_every_position_counts_whatever_becomes_of_the_output_head(
    architecture, edit, build_model, context_of
):
    model = build_model(architecture)
    context = context_of(model)
    before = log_probabilities(model, context.text)
    edit(model)
    expected = expected_kl(before, log_probabilities(model, context.text))
    assert expected > 5e-4
    reading = KLDivergence().measure(context_of(model, base=context))
    assert reading.values[""] == pytest.approx(expected, rel=1e-4)
    assert reading.sample is None


@pytest.mark.usefixtures("_little_memory")
def test_a_model_in_half_precision_is_compared_as_it_answers(build_model, context_of):
    model = build_model("llama").bfloat16()
    context = context_of(model)
    before = log_probabilities(model, context.text)
    model.lm_head.weight.mul_(1.5)
    expected = expected_kl(before, log_probabilities(model, context.text))
    assert KLDivergence().measure(context_of(model, base=context)).values[""] == pytest.approx(
        expected, rel=2e-2
    )


class OfOnesOwn(GPT2LMHeadModel):
    """Code that is no library's, so that it is asked a window at a time."""


class Sharpened(GPT2LMHeadModel):
    """Its logits are not its head's."""

    def forward(self, *args, **kwargs):
        output = super().forward(*args, **kwargs)
        output.logits = output.logits * 1.5
        return output


class SharpenedSometimes(GPT2LMHeadModel):
    """Its logits are not its head's for some texts."""

    def forward(self, input_ids, **kwargs):
        output = super().forward(input_ids, **kwargs)
        output.logits = output.logits * (1 + int(input_ids.sum()) % 2)
        return output


@pytest.mark.usefixtures("_little_memory")
@pytest.mark.parametrize(
    ("kind", "covers"), [(OfOnesOwn, True), (Sharpened, False), (SharpenedSometimes, False)]
)
def test_a_base_of_other_code_is_compared_everywhere_if_its_head_gives_its_logits_else_at_a_stated_sample(
    kind, covers, build_model, context_of
):
    model = build_model()
    model.__class__ = kind
    context = context_of(model)
    before = log_probabilities(model, context.text)
    model.transformer.h[3].mlp.c_proj.weight.mul_(2)
    after = log_probabilities(model, context.text)
    seen = context_of(model, base=context)
    reading = KLDivergence().measure(seen)
    n = len(before)
    at = torch.arange(n) if covers else seen.observation.reference.at
    assert reading.sample == (None if covers else Sample(measured=5, of=n, what="positions"))
    assert reading.values[""] == pytest.approx(expected_kl(before[at], after[at]), rel=1e-4)


MODELS = ["world"] + [pytest.param(str(LLAMA))] * LLAMA.is_dir()


@pytest.mark.parametrize("name", MODELS)
def test_models_that_know_something_are_as_far_as_float64_says(name, context_of):
    loaded = load_model(ModelSpec(name=name, device="cpu"))
    text = tokenize_text(loaded.tokenizer, load_documents("world"), 400, 128)
    context = context_of(loaded.model, documents=text)
    before = log_probabilities(loaded.model, text)
    for factor in (1.001, 1.1):
        with torch.no_grad():
            for parameter in loaded.model.parameters():
                parameter.mul_(factor)
        expected = expected_kl(before, log_probabilities(loaded.model, text))
        found = KLDivergence().measure(context_of(loaded.model, base=context))
        assert found.values[""] == pytest.approx(expected, rel=1e-3, abs=1e-7)
        assert found.sample is None


@given(rows=st.integers(1, 5), outcomes=st.integers(2, 20), seed=st.integers(0, 1000))
@settings(max_examples=examples(60))
def test_it_is_not_negative_and_0_only_for_equal_distributions(rows, outcomes, seed):
    p, q = torch.randn(2, rows, outcomes, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    expected = entropy(np.exp(p.double().numpy()), np.exp(q.double().numpy()), axis=1)
    assert divergences(p, q).numpy() == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert (divergences(p, q) > 0).all()
    assert (divergences(p, p) == 0).all()


def test_what_the_base_excludes_adds_nothing_and_what_only_the_edited_model_excludes_is_infinite():
    half = math.log(0.5)
    sure, split = torch.tensor([[0.0, -math.inf]]), torch.tensor([[half, half]])
    assert divergences(sure, split).item() == pytest.approx(math.log(2))
    assert divergences(sure, sure).item() == 0
    assert divergences(split, sure).item() == math.inf


def test_text_without_a_next_token_is_a_data_error(build_model, context_of):
    text = TokenizedText((torch.tensor([1]),), "single", (0,))
    with pytest.raises(DataError, match="second token"):
        KLDivergence().measure(context_of(build_model(), documents=text))
