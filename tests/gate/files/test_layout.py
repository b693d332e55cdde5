"""Matrices found in files, against those that are found in the loaded model."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from stability.errors import ModelError
from stability.gate.files.folder import open_folder
from stability.gate.files.layout import lay_out
from stability.models import map_model
from stability.models.architectures import ARCHITECTURES
from tests.gate.conftest import down, llama

SIZES = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 32, "bos_token_id": 0, "eos_token_id": 0,
    "pad_token_id": None,
}  # fmt: skip
GPT = {
    "vocab_size": 40, "n_embd": 16, "n_inner": 24, "n_layer": 2, "n_head": 4, "n_positions": 32, "rotary_dim": 2,
    "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_the_matrices_are_those_of_the_loaded_model(tmp_path, architecture):
    sizes = GPT if architecture in ("gpt2", "gptj") else SIZES
    with torch.random.fork_rng():
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[architecture](**sizes))
    model.save_pretrained(tmp_path)
    found, expected = lay_out(open_folder(tmp_path)), map_model(model)
    assert found.matrices == expected.matrices
    assert (found.architecture, found.layers) == (architecture, 2)
    parameters = dict(model.named_parameters())
    assert {name: tensor.shape for name, tensor in found.tensors.items()} == {
        name: tuple(parameters[name].shape) for name in found.tensors
    }


def test_files_of_the_bare_model_get_the_names_of_the_whole_one(copy_of_world):
    folder = copy_of_world("bare")
    tensors = load_file(folder / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    save_file(bare, folder / "model.safetensors")
    assert set(lay_out(open_folder(folder)).tensors) == set(lay_out(open_folder("world")).tensors)


def test_an_architecture_that_no_table_describes_is_named(save):
    folder = save("other", llama(), config={"model_type": "mamba"})
    with pytest.raises(ModelError, match=r"'mamba'.*supported are gpt2"):
        lay_out(open_folder(folder))


def test_files_without_blocks_are_no_model(save):
    folder = save("other", {"weight": torch.ones(2)})
    with pytest.raises(ModelError, match=r"no model\.layers\.0"):
        lay_out(open_folder(folder))


def test_a_matrix_that_is_missing_is_not_listed(save):
    tensors = {name: tensor for name, tensor in llama().items() if name != down(1)}
    names = [matrix.name for matrix in lay_out(open_folder(save("gap", tensors))).matrices]
    assert len(names) == 20
    assert down(1) not in names
