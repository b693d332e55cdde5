from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers import GPT2Model

from stability.errors import ModelError
from stability.models import map_model

Build = Callable[..., nn.Module]


def test_every_matrix_of_every_block_is_mapped_under_its_parameter_name(any_model: nn.Module) -> None:
    found = map_model(any_model)
    blocks = {
        name
        for name, parameter in any_model.named_parameters()
        if parameter.ndim == 2
        and any(name.startswith(f"{block}.") for block in found.block_names)
        and not name.endswith("mlp.gate.weight")  # of experts, which have no place in the map
        and ".shared_expert" not in name
    }
    assert {matrix.name for matrix in found.matrices} == blocks
    assert found.n_layers == 3
    for matrix in found.matrices:
        assert found.block_names[matrix.layer] in matrix.name
        assert found.parameter_name(matrix.layer, matrix.kind) == matrix.name


def test_a_weight_multiplies_its_modules_input_as_d_out_by_d_in(any_model: nn.Module) -> None:
    found = map_model(any_model)
    for matrix in found.matrices:
        module, weight = found.module(matrix.layer, matrix.kind), found.weight(matrix)
        assert weight.shape == (matrix.d_out, matrix.d_in)
        inputs = torch.randn(5, matrix.d_in, generator=torch.Generator().manual_seed(0))
        bias = 0 if module.bias is None else module.bias
        torch.testing.assert_close(module(inputs), inputs @ weight.T + bias)


def test_a_weight_is_a_view_of_the_parameter(any_model: nn.Module) -> None:
    found = map_model(any_model)
    for matrix in found.matrices:
        found.weight(matrix.name).fill_(2.5)
        assert (any_model.get_parameter(matrix.name) == 2.5).all()


def test_the_blocks_outputs_are_the_residual_stream(any_model: nn.Module) -> None:
    found = map_model(any_model)
    outputs: list[torch.Tensor] = []

    def keep(_module: nn.Module, _args: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
        outputs.append(output[0] if isinstance(output, tuple) else output)

    hooks = [block.register_forward_hook(keep) for block in found.blocks]
    ids = torch.arange(1, 9)[None]
    reference = any_model(input_ids=ids, output_hidden_states=True)
    for hook in hooks:
        hook.remove()
    for ours, theirs in zip(outputs[:-1], reference.hidden_states[1:-1], strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(found.logits(found.final_norm(outputs[-1])), reference.logits)


def test_the_mlps_output_is_added_to_the_stream_unscaled_or_the_map_says_so(any_model: nn.Module) -> None:
    found = map_model(any_model)
    layers = [matrix.layer for matrix in found.matrices if matrix.kind == "mlp_out"]
    if not layers:
        assert found.architecture == "mixtral"  # every block routes to experts
        return
    layer = layers[len(layers) // 2]
    ids = torch.arange(1, 9)[None]
    streams: list[torch.Tensor] = []

    def keep(_module: nn.Module, _args: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
        streams.append(output[0] if isinstance(output, tuple) else output)

    hook = found.blocks[layer].register_forward_hook(keep)
    any_model(input_ids=ids)
    shift = torch.randn(32, generator=torch.Generator().manual_seed(1))
    push = found.module(layer, "mlp_out").register_forward_hook(lambda _module, _args, output: output + shift)
    any_model(input_ids=ids)
    push.remove()
    hook.remove()
    moved = streams[1] - streams[0]
    if found.normalised_output:
        assert not torch.allclose(moved, shift.expand(1, 8, 32), atol=0.05)
        with pytest.raises(ModelError, match="normalises what its MLP writes"):
            found.require_unscaled()
    else:
        torch.testing.assert_close(moved, shift.expand(1, 8, 32))
        found.require_unscaled()


def test_the_embedding_is_found(any_model: nn.Module) -> None:
    assert map_model(any_model).embedding is any_model.get_input_embeddings()


@pytest.mark.parametrize("architecture", ["qwen2_moe", "qwen3_moe"])
def test_a_block_of_experts_has_no_mlp_of_its_own(build_model: Build, architecture: str) -> None:
    found = map_model(build_model(architecture))
    assert {matrix.layer for matrix in found.matrices if matrix.kind == "mlp_out"} == {0}
    again = map_model(build_model(architecture), like=found)
    assert again.matrices == found.matrices
    with pytest.raises(ModelError, match="no matrix 'mlp_out'; it has attn_q"):
        again.module(1, "mlp_out")


def test_an_unknown_architecture_is_refused_with_the_supported_ones_named() -> None:
    with pytest.raises(
        ModelError, match=r"cannot map a Linear .*gpt2, gptj, gpt_neox, llama.*own-architecture"
    ):
        map_model(nn.Linear(2, 2))


def test_a_model_without_a_language_head_is_refused(gpt2: nn.Module) -> None:
    assert isinstance(gpt2.transformer, GPT2Model)
    with pytest.raises(ModelError, match="not built as gpt2 should be"):
        map_model(gpt2.transformer)


def test_asking_for_what_is_not_there_says_what_is(gpt2: nn.Module) -> None:
    found = map_model(gpt2)
    with pytest.raises(ModelError, match="no layer 3: the model's layers are 0 to 2"):
        found.module(3, "mlp_out")
    with pytest.raises(ModelError, match="no matrix 'mlp_gate'; it has mlp_in, mlp_out, attn_qkv"):
        found.parameter_name(0, "mlp_gate")
    with pytest.raises(ModelError, match=r"transformer\.wte\.weight is no weight matrix"):
        found.weight("transformer.wte.weight")
