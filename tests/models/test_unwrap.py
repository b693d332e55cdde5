from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from stability.errors import ModelError
from stability.models import context_length, language_model, map_model, measurable, output_head
from stability.models.unwrap import named_parameters

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")


class Module(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.module = model
        self.gain = nn.Parameter(torch.ones(2))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        output = self.module(*args, **kwargs)
        output.logits = output.logits + 1
        return output


class Silent(nn.Module):
    """Holds a model, but has no forward pass."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inside = model
        self.vector = nn.Parameter(torch.zeros(3))


class Hiding(nn.Module):
    """Holds a model that is not registered as its module."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.__dict__["model"] = model

    def forward(self, **kwargs: Any) -> Any:
        return self.__dict__["model"](**kwargs)


class Plain:
    def __init__(self, model: object) -> None:
        self.model = model


def peft(model: nn.Module) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(r=2, target_modules=["c_proj"], fan_in_fan_out=True))


def held_wrapper(model: nn.Module) -> Plain:
    return Plain(Module(model))


def wrapped_peft(model: nn.Module) -> Module:
    return Module(peft(model))


WRAPPERS: list[Callable[[nn.Module], object]] = [
    Module,
    Silent,
    Hiding,
    Plain,
    peft,
    nn.DataParallel,
    held_wrapper,
    wrapped_peft,
]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_the_language_model_is_found_inside_of_a_wrapper(
    gpt2: nn.Module, wrap: Callable[[nn.Module], object]
) -> None:
    found = map_model(gpt2)
    wrapped = wrap(gpt2)
    assert language_model(wrapped) is gpt2
    called = measurable(wrapped)
    assert output_head(called) is gpt2.lm_head
    assert context_length(called) == 64
    assert map_model(called, like=found).matrices == found.matrices
    assert any(module is gpt2 for module in called.modules())


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_logits_come_from_the_wrapper_if_it_can_be_called(
    gpt2: nn.Module, wrap: Callable[[nn.Module], object]
) -> None:
    ids = torch.arange(1, 6)[None]
    with torch.no_grad():
        expected = gpt2(input_ids=ids).logits
        wrapped = wrap(gpt2)
        logits = measurable(wrapped)(input_ids=ids, use_cache=False).logits
    adds = isinstance(wrapped, Module)  # and a plain object cannot be called, so what it holds is
    torch.testing.assert_close(logits, expected + adds)


@pytest.mark.parametrize("wrap", [Module, Silent])
def test_parameters_go_by_the_language_models_names_and_then_come_the_wrappers(
    gpt2: nn.Module, wrap: Callable[[nn.Module], nn.Module]
) -> None:
    names = [name for name, _ in gpt2.named_parameters()]
    found = [name for name, _ in named_parameters(measurable(wrap(gpt2)))]
    assert found[: len(names)] == names
    assert [name.rpartition(".")[2] for name in found[len(names) :]] == [
        {Module: "gain", Silent: "vector"}[wrap]
    ]


def test_a_model_is_measured_as_it_is(gpt2: nn.Module) -> None:
    assert measurable(gpt2) is gpt2
    assert language_model(gpt2) is gpt2


@pytest.mark.parametrize("nothing", [None, (), 3, Plain(None), nn.Linear(2, 2)])
def test_what_holds_no_language_model_has_none(nothing: object) -> None:
    assert language_model(nothing) is None


def test_an_object_without_a_language_model_is_refused() -> None:
    with pytest.raises(ModelError, match="a Plain holds no language model that can be mapped"):
        measurable(Plain(nn.Linear(2, 2)))


def test_a_wrapper_that_would_drop_the_mask_is_refused(gpt2: nn.Module) -> None:
    class Narrow(Module):
        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
            return self.module(input_ids)

    with pytest.raises(ModelError, match="Narrow takes input_ids but not position_ids, past_key_values"):
        measurable(Narrow(gpt2))


def test_a_model_with_another_number_of_blocks_is_refused(gpt2: nn.Module) -> None:
    found = map_model(gpt2)
    gpt2.transformer.h = gpt2.transformer.h[:2]
    with pytest.raises(ModelError, match="the edited model has 2 blocks, the unedited one 3"):
        map_model(gpt2, like=found)


def test_an_unedited_model_with_adapters_in_it_is_refused(gpt2: nn.Module) -> None:
    with pytest.raises(ModelError, match="merge adapters and wrappers into the model's own weights first"):
        map_model(peft(gpt2))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what torch imports for it
def test_of_a_compiled_model_the_one_that_it_runs_is_measured(gpt2: nn.Module) -> None:
    assert measurable(torch.compile(gpt2)) is gpt2


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:.*quantize_per_tensor:UserWarning")
def test_a_head_that_keeps_its_weight_packed_is_told_of(gpt2: nn.Module) -> None:
    quantized = torch.ao.quantization.quantize_dynamic(gpt2, {nn.Linear})
    with pytest.raises(
        ModelError, match="has no matrix among its parameters; models that keep their weights packed"
    ):
        _ = map_model(quantized, like=map_model(gpt2)).head_shape
