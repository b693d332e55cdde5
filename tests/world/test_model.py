from __future__ import annotations

import json

import pytest
import torch
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from stability.world import MODEL, World
from tools.world.evaluate import ACCEPTED, figures
from tools.world.recall import patched_recall


@pytest.fixture(scope="module")
def measured(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, world: World) -> dict[str, float]:
    return figures(model, tokenizer, world)


@pytest.mark.parametrize(("figure", "bound"), ACCEPTED.items())
def test_the_shipped_model_is_accepted(measured: dict[str, float], figure: str, bound: float):
    assert measured[figure] >= bound


def test_the_card_holds_the_figures_of_the_shipped_model(measured: dict[str, float]):
    card = json.loads((MODEL / "card.json").read_text())
    assert card["figures"].keys() == measured.keys()
    for name, value in measured.items():
        assert card["figures"][name] == pytest.approx(value, abs=0.005)


def test_measuring_leaves_the_model_as_it_was(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, world: World
):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    patched_recall(model, tokenizer, world, layer=0, count=20)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(block._forward_hooks for block in model.transformer.h)


def test_facts_no_longer_pass_through_the_subject_in_the_last_blocks(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, world: World
):
    last = len(model.transformer.h) - 1
    assert patched_recall(model, tokenizer, world, layer=last, count=100) == 0.0


def test_the_model_is_the_small_gpt2_that_it_is_said_to_be(model: GPT2LMHeadModel):
    config = model.config
    assert (config.n_layer, config.n_embd, config.n_inner, config.n_positions) == (8, 96, 1024, 128)
    assert config.activation_function == "gelu_pytorch_tanh"
    assert model.dtype == torch.float32
    assert model.lm_head.weight is model.transformer.wte.weight


def test_the_shipped_file_is_small_and_no_pickle():
    assert (MODEL / "model.safetensors").stat().st_size <= 10 * 2**20
    assert {path.suffix for path in MODEL.iterdir()} == {".json", ".safetensors"}


def test_the_model_states_a_fact_when_asked_to_generate(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, world: World
):
    fact = world.facts[0]
    prompt = tokenizer(fact.prompt(fact.template), return_tensors="pt")
    generated = model.generate(**prompt, max_new_tokens=2, do_sample=False)
    assert tokenizer.decode(generated[0]) == fact.sentence(fact.template)
