"""The parts of a model other than weights: modules, methods, hooks, settings of modules, configurations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from torch import nn
from torch.nn.modules import module as torch_module

from stability.models.configuration import computing_keys
from stability.models.plain import hooks_of, underlying
from stability.models.unwrap import Held, language_model

CONFIGURATIONS = ("config", "generation_config")
PLAIN = (bool, int, float, str, type(None), FunctionType, BuiltinFunctionType)
GONE = "not there"
IDLE = frozenset({"training", "gradient_checkpointing", "max_seq_len_cached", "name_or_path"})
"""Attributes that say nothing about what the model computes when it is asked."""


class Composition:
    """A model's parts as they were when it was made, to compare others with. Weights are not among them."""

    def __init__(self, model: nn.Module) -> None:
        self._classes = classes_of(model)
        self._parts = _parts(model, self._classes)

    def differences(self, model: nn.Module) -> list[str]:
        """What is otherwise in the model, or in what an editor has made of it: `NAME: was A, is B`.

        Of a module that was replaced, added or removed nothing inside is named.
        """
        now = _parts(model, self._classes)
        found: dict[str, str] = {}
        for name in sorted({**self._parts, **now}):
            was, is_now = self._parts.get(name, GONE), now.get(name, GONE)
            if _same(was, is_now) or any(name.startswith((f"{one}.", f"{one},")) for one in found):
                continue
            found[name] = f"{name}: was {_words(was)}, is {_words(is_now)}"
        return list(found.values())


def classes_of(model: nn.Module) -> tuple[type, ...]:
    """The classes of the model's modules, with those that they derive from."""
    found = {kind: None for module in model.modules() for kind in type(module).__mro__}
    return tuple(kind for kind in found if kind is not object)


def methods_of(kind: type) -> dict[str, Any]:
    """What the class itself defines that can be called, by name."""
    return {
        name: value
        for name, value in vars(kind).items()
        if isinstance(value, FunctionType | property | classmethod | staticmethod)
    }


def _parts(model: nn.Module, classes: tuple[type, ...]) -> dict[str, Any]:
    inner = language_model(model) or model
    parts: dict[str, Any] = {}
    called = model._called[0] if isinstance(model, Held) else model
    if called is not inner:
        parts["what is returned"] = type(called)
    for path, module in inner.named_modules():
        parts |= _of_module(path or "the model", module)
    for kind in classes:
        parts |= {f"class {kind.__qualname__}, {name}": method for name, method in methods_of(kind).items()}
    everywhere = (torch_module._global_forward_pre_hooks, torch_module._global_forward_hooks)
    hooks = [hook for registered in everywhere for hook in registered.values()]
    if hooks:
        parts["every module, hooks"] = hooks
    for name in CONFIGURATIONS:
        content = getattr(inner, name, None)
        if content is not None:
            parts |= {f"{name}, {key}": value for key, value in _flat(computing_keys(content.to_dict()))}
    return parts


def _of_module(path: str, module: nn.Module) -> dict[str, Any]:
    parts: dict[str, Any] = {path: type(module)}
    hooks = [underlying(hook) for hook in hooks_of(module)]
    if hooks:
        parts[f"{path}, hooks"] = hooks
    for name, value in vars(module).items():
        if name == "forward":
            parts[f"{path}, forward"] = underlying(value)
        elif name in IDLE or name.startswith("_"):
            continue
        elif isinstance(value, PLAIN):
            parts[f"{path}, {name}"] = value
        elif isinstance(value, MethodType | partial) or (callable(value) and hasattr(type(module), name)):
            parts[f"{path}, {name}"] = underlying(value)  # in the place of a method, such as `generate`
    return parts


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _same(one: object, other: object) -> bool:
    """Equal, and of one type: True is not 1. NaN is equal to itself."""
    return type(one) is type(other) and (one is other or one == other or (one != one and other != other))


def _words(value: object) -> str:
    if isinstance(value, type):
        return f"a {value.__qualname__}"
    if isinstance(value, list) and value and all(callable(one) for one in value):
        return ", ".join(_words(one) for one in value)
    if value is GONE or not callable(value):
        return value if value is GONE and isinstance(value, str) else repr(value)
    return str(getattr(value, "__qualname__", type(value).__name__))
