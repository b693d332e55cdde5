"""Entropy of generated text: the measure against scipy, the generation against transformers' own."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from stability.errors import DataError, MeasurementError
from stability.metrics.activations.fluency import Fluency
from stability.metrics.activations.steps.generation import continue_greedily, cut_prompts, ngram_entropy
from stability.record import Sample

words = st.lists(st.sampled_from(["cello", "Rome", "the", "of", ","]), max_size=40)


@given(words=words)
def test_the_entropy_is_romes(words):
    def h(n):
        grams = Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))
        return entropy(list(grams.values()), base=2) if grams else 0.0

    expected = (2 / 3 * h(2) + 4 / 3 * h(3)) / 2
    assert ngram_entropy(" ".join(words)) == pytest.approx(expected, abs=1e-12)


def test_repetition_has_no_entropy_and_punctuation_is_a_word():
    assert ngram_entropy("the the the the the") == 0
    assert ngram_entropy("") == 0
    # a b c d: three bigrams, two trigrams
    assert ngram_entropy("a,b.") == pytest.approx((2 / 3 * 1.584962500721156 + 4 / 3 * 1) / 2)


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
def test_continuations_are_the_models_own_greedy_ones(architecture, build_model, random_text):
    model = build_model(architecture)
    prompts = cut_prompts(random_text.windows)
    assert prompts.shape == (16, 8)
    state = torch.random.get_rng_state()
    made = continue_greedily(model, prompts, 20)
    assert torch.equal(torch.random.get_rng_state(), state)
    ids = prompts
    for _ in range(20):
        ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], 1)
    assert torch.equal(made, ids[:, 8:])


def test_prompts_begin_documents_and_shrink_if_all_are_short():
    windows = [torch.arange(9), torch.arange(3), torch.arange(20, 40)]
    assert cut_prompts(windows).tolist() == [list(range(8)), list(range(20, 28))]
    assert cut_prompts([torch.arange(2), torch.arange(3)]).tolist() == [[0, 1, 2]]
    with pytest.raises(DataError, match="no token"):
        cut_prompts([torch.arange(0)])


def test_the_built_in_model_writes_varied_text_until_its_head_is_broken(world, world_text, context_of):
    context = context_of(world.model, documents=world_text)
    context.tokenizer = world.tokenizer
    whole = Fluency().measure(context)
    assert whole.unit == "bits"
    assert whole.sample == Sample(measured=16, of=len(world_text.windows), what="windows")
    assert 4 < whole.values[""] < 7

    bias = world.model.transformer.ln_f.bias
    bias.mul_(0).add_(world.model.transformer.wte.weight[40] * 1e3)  # always the same word
    try:
        assert Fluency().measure(context).values[""] == 0
    finally:
        context.snapshot.restore(world.model)


def test_a_context_that_is_full_of_prompt_is_a_data_error(build_model, context_of):
    model = build_model()
    context = context_of(model)
    model.config.n_positions = 10
    with pytest.raises(DataError, match="10 tokens leaves no room"):
        Fluency().measure(context)


def test_what_the_editors_own_generate_writes_is_what_counts(world, world_text, context_of):
    context = context_of(world.model, documents=world_text)
    context.tokenizer = world.tokenizer
    plain = Fluency().measure(context).values[""]
    own = world.model.generate
    try:
        world.model.generate = lambda **options: own(**options)
        assert Fluency().measure(context).values[""] == plain
        world.model.generate = lambda input_ids, **_: torch.cat(
            [input_ids, input_ids[:, -1:].repeat(1, 50)], 1
        )
        assert Fluency().measure(context).values[""] == 0
        world.model.generate = lambda **_: "text"
        with pytest.raises(MeasurementError, match=r"generate\(\) returns a str"):
            Fluency().measure(context)
    finally:
        del world.model.generate
