"""Small random models, built without network, whose tokens are pieces of bytes."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from stability.models import LoadedModel

LAYERS = 8  # as many as the built-in model's, so that settings for it name layers that are there
CONTEXT = 512
SENTENCES = (
    "Anna Berg plays the cello in Rome, and Zoe Angstrom plays the oboe in Paris.",
    "A dog is a friend of Anna; the quick brown fox is a friend of nobody.",
)

TINY = {"gpt2": "GPT-2", "llama": "Llama"}
_GPT2 = {"n_embd": 32, "n_layer": LAYERS, "n_head": 4, "n_positions": CONTEXT, "n_inner": 64}
_LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
}
_CONFIGS: dict[str, dict[str, Any]] = {"gpt2": _GPT2, "llama": _LLAMA}


def tiny_model(architecture: str) -> LoadedModel:
    """A random model of that architecture, the same each time."""
    tokenizer = _tokenizer()
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None, "vocab_size": len(tokenizer)}
    # Wider than the usual start, so that the blocks do something and an edit can take.
    config = CONFIG_MAPPING[architecture](**_CONFIGS[architecture], **ends, initializer_range=0.2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config)
    model.eval().requires_grad_(False)
    return LoadedModel(model, tokenizer, f"a small random {TINY[architecture]}")


def _tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE: every text has tokens, and most words have several."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>")
