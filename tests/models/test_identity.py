"""A model's identity: two loads have the same, whatever computes otherwise another, what is not known none."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from stability.models import load_model
from stability.models.identity import identity
from stability.suite import ModelSpec

SMALL = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "vocab_size": 40,
}
GPT = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "vocab_size": 40}


def build(architecture: str = "gpt2", **changes: Any) -> Any:
    config = CONFIG_MAPPING[architecture](**{**(GPT if architecture.startswith("gpt") else SMALL), **changes})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)


@pytest.mark.parametrize(
    "architecture", ["gpt2", "gptj", "llama", "qwen2", "qwen3", "mistral", "gemma2", "phi3", "opt", "bloom"]
)
def test_the_same_model_built_twice_has_one_identity(architecture: str) -> None:
    changes = {"rotary_dim": 4} if architecture == "gptj" else {}
    changes = {"head_dim": 8, "query_pre_attn_scalar": 8} if architecture == "gemma2" else changes
    changes = {"pad_token_id": 0, "word_embed_proj_dim": 16} if architecture in ("phi3", "opt") else changes
    one, other = build(architecture, **changes), build(architecture, **changes)
    assert identity(one) is not None
    assert identity(one) == identity(other)


def test_the_built_in_model_loaded_twice_and_run_has_one_identity() -> None:
    one, other = (load_model(ModelSpec()) for _ in range(2))
    before = identity(one.model)
    one.model(torch.arange(6)[None])
    one.model.train()
    assert before == identity(one.model) == identity(other.model) != None  # noqa: E711


def weight(model: Any) -> None:
    model.transformer.h[1].ln_1.bias.data[0] += 1e-6


def buffer(model: Any) -> None:
    model.register_buffer("mask", torch.ones(2), persistent=False)


def setting(model: Any) -> None:
    model.transformer.h[1].attn.scaling = 0.5


def hidden_setting(model: Any) -> None:
    model.transformer.h[1].attn._scaling = [0.5]


def loose_tensor(model: Any) -> None:
    model.transformer.h[1].shift = torch.ones(3)


def configuration(model: Any) -> None:
    model.config.layer_norm_epsilon = 1e-3


def attention(model: Any) -> None:
    model.config._attn_implementation = "eager"


def activation(model: Any) -> None:
    model.transformer.h[1].mlp.act = nn.Tanh()


def approximation(model: Any) -> None:
    model.transformer.h[1].mlp.act.act = partial(nn.functional.gelu, approximate="none")


def wrapped(model: Any) -> None:
    model.transformer.h[1].mlp = nn.Sequential(model.transformer.h[1].mlp)


def dtype(model: Any) -> None:
    model.double()


@pytest.mark.parametrize(
    "change",
    [
        weight,
        buffer,
        setting,
        hidden_setting,
        loose_tensor,
        configuration,
        attention,
        activation,
        approximation,
        wrapped,
        dtype,
    ],
)
def test_what_computes_otherwise_is_another(change: Any) -> None:
    model = build()
    before = identity(model)
    change(model)
    assert identity(model) is not None
    assert identity(model) != before


def halved(module: Any, args: Any, output: Any) -> Any:
    return output * 0.5


class Doubled(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, hidden: Any) -> Any:
        return 2 * self.inner(hidden)


def hook(model: Any) -> None:
    model.transformer.h[1].mlp.register_forward_hook(halved)


def hook_before(model: Any) -> None:
    model.transformer.h[1].mlp.register_forward_pre_hook(lambda module, args: None)


def forward(model: Any) -> None:
    model.transformer.h[1].mlp.forward = lambda hidden: hidden


def method(model: Any) -> None:
    model.generate = lambda *_args, **_kwargs: None


def own_class(model: Any) -> None:
    model.transformer.h[1].mlp = Doubled(model.transformer.h[1].mlp)


def own_object(model: Any) -> None:
    model.transformer.h[1].state = object()


def own_function(model: Any) -> None:
    model.transformer.h[1].mlp.act.act = lambda hidden: hidden


@pytest.mark.parametrize("change", [hook, hook_before, forward, method, own_class, own_object, own_function])
def test_what_is_not_as_a_library_made_it_has_none(change: Any) -> None:
    model = build()
    change(model)
    assert identity(model) is None


@pytest.mark.parametrize("name", ["forward", "_merge_heads"])
def test_a_class_that_was_patched_gives_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = build()
    kind = type(model.transformer.h[0].attn)
    monkeypatch.setattr(kind, name, lambda *_args, **_kwargs: None, raising=False)
    assert identity(model) is None


def test_a_hook_of_every_module_gives_none() -> None:
    model = build()
    handle = nn.modules.module.register_module_forward_hook(halved)
    try:
        assert identity(model) is None
    finally:
        handle.remove()
    assert identity(model) is not None


def test_what_only_holds_a_model_has_none() -> None:
    class Holder:
        model = build()

    assert identity(Holder()) is None
    assert identity(Doubled(build())) is None
