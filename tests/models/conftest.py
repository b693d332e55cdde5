"""Random tiny models of each supported architecture, and tokenizers of the three common kinds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

CORPUS = [
    "The Eiffel Tower stands in Paris, and Anna Berg plays the cello in Rome.",
    "Steve Jobs founded Apple; Anna works in Lyon. Zoë Ångström plays the oboe. Paris is not Rome.",
]

_LLAMA = {
    "vocab_size": 160,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
_EXPERTS = {
    **_LLAMA,
    "num_experts": 3,
    "num_local_experts": 3,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 24,
    "mlp_only_layers": [0],  # a dense block among those of experts
}
CONFIGS = {
    "bloom": {"vocab_size": 160, "hidden_size": 32, "n_layer": 3, "n_head": 4},
    "falcon": {
        "vocab_size": 160,
        "hidden_size": 32,
        "ffn_hidden_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
    },
    "gemma": {**_LLAMA, "head_dim": 8},
    "gemma2": {**_LLAMA, "head_dim": 8, "query_pre_attn_scalar": 8, "final_logit_softcapping": 0.5},
    "gemma3_text": {**_LLAMA, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 8},
    "mixtral": _EXPERTS,
    "opt": {
        "vocab_size": 160,
        "hidden_size": 32,
        "word_embed_proj_dim": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
    },
    "phi3": _LLAMA,
    "qwen2_moe": _EXPERTS,
    "qwen3_moe": {**_EXPERTS, "head_dim": 8},
    "gpt2": {"vocab_size": 160, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64},
    "gptj": {
        "vocab_size": 160,
        "n_embd": 32,
        "n_layer": 3,
        "n_head": 4,
        "n_positions": 64,
        "rotary_dim": 4,
        "tie_word_embeddings": False,
    },
    "gpt_neox": {
        "vocab_size": 160,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
    },
    "llama": _LLAMA,
    "mistral": {**_LLAMA, "sliding_window": 8},
    "qwen2": _LLAMA,
    "qwen3": {**_LLAMA, "head_dim": 8},
}


def build_model(architecture: str, **changes: object) -> torch.nn.Module:
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
    config = CONFIG_MAPPING[architecture](**{**CONFIGS[architecture], **ends, **changes})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
        for parameter in model.parameters():
            if parameter.ndim == 1:  # norms and biases, which start as ones and zeros
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        return model


def build_tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """`words`: spaces vanish; `bytes`: as GPT-2; `pieces`: as Llama, with a BOS that is added by default."""
    if kind == "words":
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(special_tokens=["<eos>", "<unk>"])
        tokenizer.train_from_iterator(CORPUS, trainer)
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", unk_token="<unk>")
    tokenizer = Tokenizer(models.BPE(byte_fallback=kind == "pieces", unk_token="<unk>"))
    if kind == "bytes":
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=330, special_tokens=["<eos>", "<unk>"], initial_alphabet=alphabet, show_progress=False
        )
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
        trainer = trainers.BpeTrainer(vocab_size=120, special_tokens=["<s>", "<unk>"], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    if kind == "bytes":
        tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
        return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>", unk_token="<unk>")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>")


@pytest.fixture(params=sorted(CONFIGS))
def any_model(request: pytest.FixtureRequest) -> torch.nn.Module:
    return build_model(request.param)


@pytest.fixture(params=["words", "bytes", "pieces"])
def any_tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    return build_tokenizer(request.param)


@pytest.fixture(name="build_model")
def _build_model() -> Callable[..., torch.nn.Module]:
    return build_model


@pytest.fixture(name="build_tokenizer")
def _build_tokenizer() -> Callable[[str], PreTrainedTokenizerFast]:
    return build_tokenizer


@pytest.fixture
def gpt2() -> torch.nn.Module:
    return build_model("gpt2")
