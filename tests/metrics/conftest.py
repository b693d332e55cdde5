"""Random tiny models, random text, and contexts to measure them in; the built-in model where meaning matters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from stability.data.documents import load_documents
from stability.metrics import Context
from stability.models import LoadedModel, Snapshot, TokenizedText, load_model, map_model, tokenize_text
from stability.suite import ModelSpec, SuiteSpec

VOCABULARY = 90
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 24, "n_layer": 4, "n_head": 3, "n_positions": 48},
    "gptj": {"n_embd": 24, "n_layer": 3, "n_head": 3, "n_positions": 48, "rotary_dim": 4},
    "llama": {
        "hidden_size": 24,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "max_position_embeddings": 48,
        "tie_word_embeddings": False,
    },
}
_SMALL = {**CONFIGS["llama"], "head_dim": 8, "query_pre_attn_scalar": 8, "num_key_value_heads": 3}
_EXPERTS = {"num_experts": 3, "num_local_experts": 3, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
CONFIGS |= {
    "bloom": {"hidden_size": 24, "n_layer": 3, "n_head": 3},
    "falcon": {
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "max_position_embeddings": 48,
    },
    "gemma2": {**_SMALL, "final_logit_softcapping": 2.0, "tie_word_embeddings": True},
    "gemma3_text": {**_SMALL, "tie_word_embeddings": True},
    "mixtral": {**_SMALL, **_EXPERTS},
    "opt": {**CONFIGS["llama"], "word_embed_proj_dim": 24, "ffn_dim": 40},
    "phi3": CONFIGS["llama"],
    "qwen3_moe": {**_SMALL, **_EXPERTS},
}


@pytest.fixture
def build_model() -> Callable[..., nn.Module]:
    """A random model in evaluation mode; the same one for the same arguments."""

    def build(architecture: str = "gpt2", **changes: Any) -> nn.Module:
        ends = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
        config = CONFIG_MAPPING[architecture](**{**ends, **CONFIGS[architecture], **changes})
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
            # As initialised, all layers are much alike; give each a character.
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
        return model

    return build


@pytest.fixture(scope="session")
def random_text() -> TokenizedText:
    """Forty documents of 2 to 40 random tokens."""
    generator = torch.Generator().manual_seed(3)
    lengths = torch.randint(2, 41, (40,), generator=generator).tolist()
    return TokenizedText(
        tuple(torch.randint(1, VOCABULARY, (length,), generator=generator) for length in lengths),
        "random",
        tuple(range(40)),
    )


@pytest.fixture
def context_of(random_text: TokenizedText) -> Callable[..., Context]:
    """A context of a model as it is now; with `base`, one after edits, to be compared with that context."""

    def make(
        model: nn.Module, documents: TokenizedText | None = None, base: Context | None = None, **suite: Any
    ) -> Context:
        content = {"schema": 1, "name": "test", "checks": {"any": {"metric": "nonfinite", "assert": "== 0"}}}
        context = Context(
            model=model,
            tokenizer=None,
            map=map_model(model),
            snapshot=base.snapshot if base else Snapshot(model),
            suite=SuiteSpec.model_validate({**content, **suite}),
            text=documents or (base.text if base else random_text),
            changed=base.snapshot.changed(model) if base else (),
            base=base.observation if base else None,
        )
        if base is None:
            context.base = context.observation  # now, before anything is edited
        return context

    return make


@pytest.fixture(scope="session")
def world() -> LoadedModel:
    return load_model(ModelSpec(name="world", device="cpu"))


@pytest.fixture(scope="session")
def world_text(world: LoadedModel) -> TokenizedText:
    """Three thousand tokens of the built-in world's held-out text."""
    return tokenize_text(world.tokenizer, load_documents("world"), 3_000, 128)
