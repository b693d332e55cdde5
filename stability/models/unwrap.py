"""The language model inside of what an editor returned, and what of it is called for logits."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from transformers import PreTrainedModel

from stability.errors import ModelError
from stability.models.architectures import ARCHITECTURES

COMPILED = "torch._dynamo.eval_frame"  # the module of what torch.compile makes
LIKELY = ("model", "module", "base_model", "language_model")  # where wrappers keep what they wrap
DEPTH = 4
PASSED = ("input_ids", "attention_mask", "position_ids", "past_key_values", "use_cache")


def language_model(model: object) -> nn.Module | None:
    """The model itself if its blocks can be mapped, else the nearest such model that it holds.

    PEFT's models, data-parallel wrappers and objects with a `.model` are looked into; None if there is none.
    """
    level, seen = [model], {id(model)}
    for _ in range(DEPTH):
        for one in level:
            if _is_language_model(one):
                return one
        inside = {id(held): held for one in level for held in _held(one)}
        level = [held for number, held in inside.items() if number not in seen]
        seen |= inside.keys()
    return None


def measurable(model: object) -> nn.Module:
    """The module that is called with `input_ids` for logits, and whose parameters are the edited model's.

    That is what the editor returned, if it can be called: a wrapper may add something to the language model
    that it holds. What cannot be called only holds it, and the language model is called. So it is of what
    `torch.compile` makes, which runs its model another way to the same end, and bears no hooks.

    Raises:
        ModelError: there is no language model in it, or it can be called but not with `input_ids` and what
            goes with them.
    """
    if type(model).__module__ == COMPILED:
        model = getattr(model, "_orig_mod", model)
    inner = language_model(model)
    if inner is None and isinstance(model, nn.Module):
        return model  # mapping it says what is wrong
    if inner is None:
        raise ModelError(f"a {type(model).__name__} holds no language model that can be mapped")
    if model is inner:
        return inner
    called = model if _takes_ids(model) else inner
    if called is model and isinstance(model, nn.Module) and any(one is inner for one in model.modules()):
        return model
    return Held(inner, model, called)


class Held(nn.Module):
    """A language model in something that is no module, that hides it, or that cannot be called itself."""

    def __init__(self, inner: nn.Module, outer: object, called: Any) -> None:
        super().__init__()
        self.language_model = inner
        if isinstance(outer, nn.Module):
            self.add_module(type(outer).__name__, outer)
        self._called: tuple[Any, ...] = (called,)  # in a tuple, so that it is not a submodule

    @property
    def generate(self) -> Any:
        """What is called generates, if it can."""
        return self._called[0].generate

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The forward pass of what is called."""
        return self._called[0](*args, **kwargs)


def named_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Each parameter once: the language model's by the names that it has there, then what is round it."""
    yield from _named(model, lambda module: module.named_parameters())


def named_buffers(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Each buffer once, as `named_parameters`."""
    yield from _named(model, lambda module: module.named_buffers())


def unreadable(model: nn.Module) -> str:
    """The first parameter or buffer that has no values in memory, element by element, and why; empty if none.

    Without them there is nothing to compare with the unedited model's bytes, nor to keep and put back.
    """
    for name, tensor in chain(named_parameters(model), named_buffers(model)):
        if is_lazy(tensor):
            return f"{name} is not initialised"
        if tensor.is_meta:
            return f"{name} holds no data (it is on the meta device)"
        if tensor.layout is not torch.strided:
            return f"{name} is sparse ({tensor.layout})"
        if tensor.is_quantized:
            return f"{name} is quantized ({tensor.dtype})"
    return ""


def _named(model: nn.Module, listed: Callable[[nn.Module], Iterator[tuple[str, Any]]]) -> Iterator[Any]:
    inner = language_model(model)
    seen = set()
    for name, tensor in listed(inner) if inner is not None else ():
        seen.add(id(tensor))
        yield name, tensor
    for name, tensor in listed(model) if inner is not model else ():
        if id(tensor) not in seen:
            yield name, tensor


def _is_language_model(model: object) -> TypeGuard[nn.Module]:
    """Whether it is a model of a known architecture, and no wrapper that passes on the names of one."""
    if not isinstance(model, PreTrainedModel):
        return False
    architecture = ARCHITECTURES.get(str(getattr(model.config, "model_type", None)))
    return architecture is not None and architecture.blocks.split(".")[0] in model._modules


def _held(model: object) -> list[object]:
    """The object's attributes that may be or contain a model; the likeliest names first."""
    held = {**getattr(model, "__dict__", {}), **getattr(model, "_modules", {})}
    names = sorted(held, key=lambda name: LIKELY.index(name) if name in LIKELY else len(LIKELY))
    return [held[name] for name in names if isinstance(held[name], nn.Module) or name in LIKELY]


def _takes_ids(model: object) -> bool:
    """Whether it can be called, with `input_ids` by name.

    Raises:
        ModelError: it can, but not with `input_ids` and the mask, positions and cache that go with them.
    """
    if isinstance(model, nn.Module) and type(model).__call__ is nn.Module.__call__:
        if type(model).forward is nn.Module.forward and "forward" not in vars(model):
            return False
        function: Any = model.forward
    elif callable(model):
        function = model
    else:
        return False
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return True
    if "input_ids" not in parameters:
        raise ModelError(
            f"{type(model).__name__} can be called, but not with input_ids, so that what it makes of the "
            "language model in it cannot be measured; let its forward take **kwargs and pass them on"
        )
    missing = [name for name in PASSED if name not in parameters]
    if missing:
        raise ModelError(
            f"{type(model).__name__} takes input_ids but not {', '.join(missing)}; "
            "let its forward take **kwargs and pass them on"
        )
    return True
