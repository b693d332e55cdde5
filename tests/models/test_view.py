from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from stability.models import NotLinearError, Snapshot, View, map_model
from stability.models.map import ModelMap

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")

BLOCKS = {"gpt2": "transformer.h", "llama": "model.layers"}
TARGETS = {"gpt2": "mlp.c_proj", "llama": "mlp.down_proj"}


class Case:
    """A model, its snapshot, and views of what becomes of it."""

    def __init__(self, model: nn.Module, architecture: str) -> None:
        self.model, self.architecture = model, architecture
        self.map: ModelMap = map_model(model)
        self.snapshot = Snapshot(model)
        self.place = f"{BLOCKS[architecture]}.1.{TARGETS[architecture]}"
        self.name = f"{self.place}.weight"

    def view(self, model: nn.Module | None = None) -> View:
        model = self.model if model is None else model
        return View(model, map_model(model, like=self.map), self.snapshot)

    @property
    def module(self) -> Any:
        return self.model.get_submodule(self.place)

    def replace(self, module: nn.Module) -> None:
        path, _, leaf = self.place.rpartition(".")
        setattr(self.model.get_submodule(path), leaf, module)


@pytest.fixture(params=["gpt2", "llama"])
def case(request: pytest.FixtureRequest, build_model: Callable[..., nn.Module]) -> Case:
    return Case(build_model(request.param), request.param)


def lora(case: Case, **changes: Any) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    config = {"r": 2, "target_modules": [case.place], "fan_in_fan_out": case.architecture == "gpt2"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return get_peft_model(case.model, LoraConfig(**{**config, "init_lora_weights": False, **changes}))


def test_a_view_of_the_unedited_model_finds_nothing(case: Case) -> None:
    view = case.view()
    assert view.changed == view.altered == ()
    assert view.differing == frozenset()
    assert list(view.stored) == [name for name, _ in case.model.named_parameters()]


def test_a_plain_matrix_is_the_parameter_itself(case: Case) -> None:
    case.module.weight[0, 0] += 1
    view = case.view()
    assert view.weight(case.name).data_ptr() == case.module.weight.data_ptr()
    assert view.changed == (case.name,)
    assert view.elements_changed(case.name) == 1


@pytest.mark.parametrize("kind", [{}, {"use_dora": True}, {"use_rslora": True}])
def test_an_adapters_matrix_is_the_one_that_merging_it_gives(case: Case, kind: dict[str, bool]) -> None:
    adapted = lora(case, **kind)
    view = case.view(adapted)
    assert view.changed == (case.name,)
    weight = view.weight(case.name).detach().clone()
    assert set(view.stored) - set(case.snapshot.names) == {name for name in view.stored if "lora_" in name}
    merged = adapted.merge_and_unload()
    expected = merged.get_parameter(case.name)
    assert weight.shape == expected.shape
    torch.testing.assert_close(weight, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(weight, case.snapshot.tensor(case.name), atol=1e-3)


def test_an_adapter_that_does_nothing_leaves_a_matrix_bit_for_bit(case: Case) -> None:
    view = case.view(lora(case, init_lora_weights=True))
    assert view.changed == ()
    assert torch.equal(view.weight(case.name), case.snapshot.tensor(case.name))


def test_a_bias_that_comes_with_a_wrapper_is_seen(case: Case) -> None:
    class Shifted(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x) + 1

    case.replace(Shifted(case.module))
    view = case.view()
    assert view.changed == (f"{case.place}.bias",)
    assert view.elements_changed(f"{case.place}.bias") == 32
    assert torch.equal(view.weight(case.name), case.snapshot.tensor(case.name))


def test_a_layer_of_another_class_with_the_same_map_is_no_change(gpt2: nn.Module) -> None:
    case = Case(gpt2, "gpt2")
    layer = nn.Linear(128, 32)
    layer.weight.data = case.module.weight.T.clone()
    layer.bias.data = case.module.bias.clone()
    case.replace(layer)
    assert case.view().changed == ()
    layer.weight.data[3, 7] += 1
    view = case.view()
    assert view.changed == (case.name,)
    assert view.elements_changed(case.name) == 1
    assert view.weight(case.name)[7, 3] == case.snapshot.tensor(case.name)[7, 3] + 1


def test_a_parametrization_counts_as_what_it_makes_of_the_weight(case: Case) -> None:
    class Doubled(nn.Module):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return 2 * weight

    parametrize.register_parametrization(case.module, "weight", Doubled())
    view = case.view()
    assert view.changed == (case.name,)
    assert torch.equal(view.weight(case.name), 2 * case.snapshot.tensor(case.name))
    assert view.differing == frozenset()


def test_a_hook_on_a_matrix_counts_as_what_it_does(case: Case) -> None:
    case.module.register_forward_pre_hook(lambda module, args: (args[0] * 3,))
    view = case.view()
    assert view.changed == (case.name,)
    torch.testing.assert_close(view.weight(case.name), 3 * case.snapshot.tensor(case.name))


def test_a_hook_that_only_looks_on_changes_no_matrix(case: Case) -> None:
    case.module.register_forward_hook(lambda module, args, output: None)
    assert case.view().changed == ()


def test_what_lies_round_matrices_and_blocks_does_not_hide_them(case: Case) -> None:
    class Round(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return self.inner(*args, **kwargs)

    block = f"{BLOCKS[case.architecture]}.1"
    holder = case.model.get_submodule(BLOCKS[case.architecture])
    holder[1].mlp = Round(holder[1].mlp)  # type: ignore[index]
    holder[1] = Round(holder[1])  # type: ignore[index,operator]
    view = case.view()
    assert view.changed == (block, f"{block}.mlp")
    assert view.differing == frozenset()
    view.stored[case.name][0, 0] += 1
    assert case.view().changed == (case.name, block, f"{block}.mlp")


def test_a_block_that_is_wrapped_is_mapped_as_the_wrapper(case: Case) -> None:
    holder = case.model.get_submodule(BLOCKS[case.architecture])
    wrapper = nn.Sequential(holder[1])  # type: ignore[index]
    holder[1] = wrapper  # type: ignore[index,operator]
    assert map_model(case.model, like=case.map).blocks[1] is wrapper


def test_what_is_added_or_removed_has_changed(case: Case) -> None:
    block = case.model.get_submodule(f"{BLOCKS[case.architecture]}.0")
    block.extra = nn.Parameter(torch.ones(4))  # type: ignore[assignment]
    norm = next(name for name in case.snapshot.names if "h.2.ln_1" in name or "2.input_layernorm" in name)
    path, _, leaf = norm.rpartition(".")
    setattr(case.model.get_submodule(path), leaf, None)
    view = case.view()
    added = f"{BLOCKS[case.architecture]}.0.extra"
    assert view.changed == (norm, added)
    assert (view.elements_changed(norm), view.elements_changed(added)) == (32, 4)


def test_a_matrix_that_is_no_linear_map_any_more_says_so(case: Case) -> None:
    case.replace(nn.Sequential(case.module, nn.ReLU()))
    view = case.view()
    with pytest.raises(NotLinearError, match=f"{case.place} is not a linear map any more: an output is"):
        view.weight(case.name)
    assert view.changed == (case.name,)
    assert view.elements_changed(case.name) == case.snapshot.tensor(case.name).numel()


def test_a_matrix_that_is_gone_says_so(case: Case) -> None:
    mlp = case.model.get_submodule(case.place.rpartition(".")[0])
    delattr(mlp, case.place.rpartition(".")[2])
    view = case.view()
    with pytest.raises(NotLinearError, match="the editor removed it"):
        view.weight(case.name)
    assert case.name in view.changed


def test_a_copy_of_a_wrapped_model_is_seen_as_the_model_is(case: Case) -> None:
    adapted = lora(case)
    one, other = case.view(adapted), case.view(copy.deepcopy(adapted))
    assert one.changed == other.changed
    assert torch.equal(one.weight(case.name), other.weight(case.name))


def test_the_rounding_of_reading_a_wrapper_off_without_gradients_is_no_change(gpt2: nn.Module) -> None:
    class Frozen(nn.Module):
        def __init__(self, layer: nn.Module) -> None:
            super().__init__()
            self.layer = layer

        @torch.no_grad()
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

    case = Case(gpt2, "gpt2")
    case.replace(Frozen(case.module))
    view = case.view()
    assert not torch.equal(view.weight(case.name), case.snapshot.tensor(case.name))
    assert view.changed == ()
    case.module.layer.weight[3, 7] += 0.01
    assert case.view().elements_changed(case.name) == 1
