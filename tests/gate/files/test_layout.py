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
from stability.gate.weights.compare import compare
from stability.models import map_model
from stability.models.architectures import ARCHITECTURES
from tests.gate.conftest import down, llama

SIZES = {
    "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 32, "bos_token_id": 0, "eos_token_id": 0,
    "pad_token_id": None, "ffn_dim": 24, "word_embed_proj_dim": 16, "head_dim": 4, "num_experts": 3, "num_local_experts": 3,
    "num_experts_per_tok": 2, "moe_intermediate_size": 8, "shared_expert_intermediate_size": 12, "mlp_only_layers": [0],
}  # fmt: skip
GPT = {
    "vocab_size": 40, "n_embd": 16, "n_inner": 24, "n_layer": 2, "n_head": 4, "n_positions": 32, "rotary_dim": 2,
    "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_the_matrices_are_those_of_the_loaded_model(tmp_path, architecture):
    sizes = GPT if architecture in ("gpt2", "gptj") else SIZES
    sizes = {key: size for key, size in sizes.items() if architecture != "falcon" or key != "head_dim"}
    with torch.random.fork_rng():
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[architecture](**sizes))
    model.save_pretrained(tmp_path)
    found, expected = lay_out(open_folder(tmp_path)), map_model(model)
    assert tuple(matrix for matrix in found.matrices if matrix.kind != "other") == expected.matrices
    assert (found.architecture, found.layers) == (architecture, 2)
    parameters = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    routed = {name for name in found.tensors if architecture.endswith(("moe", "mixtral")) and is_routed(name)}
    assert {name: tensor.shape for name, tensor in found.tensors.items() if name not in routed} == {
        name: shape for name, shape in parameters.items() if not is_routed(name) and name in found.tensors
    }
    others = {matrix.name for matrix in found.matrices if matrix.kind == "other"}
    assert others == {name for name in routed if min(found.tensors[name].shape) > 1}


def is_routed(name):
    return any(part in name for part in (".experts.", ".mlp.gate.", "block_sparse_moe", "shared_expert"))


@pytest.mark.parametrize("architecture", ["mixtral", "qwen2_moe", "qwen3_moe"])
def test_experts_that_lie_in_one_tensor_are_those_that_lie_apart(save, architecture):
    with torch.random.fork_rng():
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[architecture](**SIZES))
    fused = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    config = {"model_type": architecture}
    apart = save("apart", fused, config=config)
    model.save_pretrained(apart)
    together, apart = (
        lay_out(open_folder(save("together", fused, config=config))),
        lay_out(open_folder(apart)),
    )
    assert any(".experts.2." in name for name in apart.tensors)
    assert set(together.tensors) == set(apart.tensors)
    assert compare(together, apart).changed == ()


def test_files_of_the_bare_model_get_the_names_of_the_whole_one(copy_of_world):
    folder = copy_of_world("bare")
    tensors = load_file(folder / "model.safetensors")
    bare = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    save_file(bare, folder / "model.safetensors")
    assert set(lay_out(open_folder(folder)).tensors) == set(lay_out(open_folder("world")).tensors)


def test_what_no_table_describes_has_blocks_and_matrices_by_name(save):
    folder = save("other", llama(), config={"model_type": "unheard_of"})
    found, mapped = lay_out(open_folder(folder)), lay_out(open_folder(save("llama", llama())))
    assert (found.layers, set(found.tensors)) == (3, set(mapped.tensors))
    assert {matrix.kind for matrix in found.matrices} == {"other"}
    assert {(one.name, one.layer, one.d_out, one.d_in) for one in found.matrices} == {
        (one.name, one.layer, one.d_out, one.d_in) for one in mapped.matrices
    }
    assert len({matrix.group for matrix in found.matrices}) == 7


@pytest.mark.parametrize("double", ["model.layers.0.mlp.down_proj.weight", "model.norm.weight"])
def test_a_tensor_under_two_names_is_refused(save, double):
    tensors = {**llama(), double.removeprefix("model."): llama()[double]}
    with pytest.raises(ModelError, match="which are one parameter"):
        lay_out(open_folder(save("double", tensors)))


def test_files_without_blocks_are_no_model(save):
    folder = save("other", {"weight": torch.ones(2)})
    with pytest.raises(ModelError, match=r"no model\.layers\.0"):
        lay_out(open_folder(folder))


def test_a_matrix_that_is_missing_is_not_listed(save):
    tensors = {name: tensor for name, tensor in llama().items() if name != down(1)}
    names = [matrix.name for matrix in lay_out(open_folder(save("gap", tensors))).matrices]
    assert len(names) == 20
    assert down(1) not in names
