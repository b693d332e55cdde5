"""Random tiny models with a tokenizer to go with them, a few edits and a little text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from stability.data.edits import Edit
from stability.editors import Store
from stability.models import LoadedModel, Snapshot, load_model
from stability.suite import ModelSpec

DOCUMENTS = [
    "the quick brown fox jumps over the lazy dog .",
    "Anna Berg plays the cello in Rome and Zoe Angstrom plays the oboe in Paris .",
    "Steve Jobs founded Apple ; Anna works in Lyon , a city in France .",
    "a dog is a friend . the fox is quick and the dog is lazy , but Paris is not Rome .",
]

_LLAMA = {
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}
_GPT = {"n_embd": 24, "n_layer": 4, "n_head": 4, "n_positions": 64, "n_inner": 40}
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": _GPT,
    "gptj": {**_GPT, "rotary_dim": 4, "tie_word_embeddings": False},
    "llama": _LLAMA,
}


@dataclass
class Tiny:
    """A model and its tokenizer."""

    model: nn.Module
    tokenizer: PreTrainedTokenizerFast


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE, as GPT-2's: words of several tokens, spaces in front."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=["<eos>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(DOCUMENTS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<eos>")


def build(architecture: str) -> Tiny:
    tokenizer = build_tokenizer()
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None, "vocab_size": len(tokenizer)}
    # Larger than the usual start, so that blocks do something and an edit can take.
    config = CONFIG_MAPPING[architecture](**CONFIGS[architecture], **ends, initializer_range=0.2)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
        for parameter in model.parameters():
            if parameter.ndim == 1:  # norms and biases, which start as ones and zeros
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        return Tiny(model, tokenizer)


@pytest.fixture(params=sorted(CONFIGS))
def tiny(request: pytest.FixtureRequest) -> Tiny:
    return build(request.param)


@pytest.fixture
def gpt2() -> Tiny:
    return build("gpt2")


@pytest.fixture(name="build")
def _build() -> Callable[[str], Tiny]:
    return build


@pytest.fixture
def edit() -> Edit:
    return Edit(id="berg", prompt="{} plays the", subject="Anna Berg", target="oboe", target_true="cello")


@pytest.fixture
def edits(edit: Edit) -> tuple[Edit, ...]:
    angstrom = Edit(id="zoe", prompt="In Rome , {} plays the", subject="Zoe Angstrom", target="cello")
    return (edit, angstrom)


@pytest.fixture
def near() -> Edit:
    """An edit whose target follows its subject: even a random model can be made to say it."""
    return Edit(id="near", prompt="a friend of {}", subject="Anna Berg", target="dog")


@pytest.fixture
def text_file(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text("\n\n".join(DOCUMENTS * 3), encoding="utf-8")
    return str(path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture(scope="module")
def world() -> LoadedModel:
    return load_model(ModelSpec(name="world"))


@pytest.fixture(scope="module")
def pristine(world: LoadedModel) -> Snapshot:
    return Snapshot(world.model)


@pytest.fixture
def restored(world: LoadedModel, pristine: Snapshot) -> Iterator[None]:
    """The built-in model as it was, after each test."""
    yield
    pristine.restore(world.model)
