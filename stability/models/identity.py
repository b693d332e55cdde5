"""What a model computes by, as one digest; only of models that are surely as their library built them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from functools import partial
from types import BuiltinFunctionType
from typing import Any

import torch
from torch import Tensor, nn

from stability.models.composition import CONFIGURATIONS, IDLE, classes_of, methods_of
from stability.models.configuration import computing_keys
from stability.models.plain import LIBRARIES, hooks_of, is_library, is_plain
from stability.models.unwrap import language_model
from stability.store import tensors_fingerprint

INTERNAL = frozenset(vars(nn.Module())) | {"_is_hf_initialized", "_hf_hook", "warnings_issued"}
SWITCHES = ("_attn_implementation", "_experts_implementation")  # of a configuration, not in its dictionary


class DoubtError(Exception):
    """Something of a model is not known well enough to say that two models with it compute the same."""


def identity(model: object) -> str | None:
    """SHA-256 over tensors, modules, their settings and the configuration, and where the tensors are.

    Two models with one identity compute the same. None where that cannot be told: the model has been wrapped,
    hooked or patched, or holds objects that nothing is known of.
    """
    if not isinstance(model, nn.Module) or language_model(model) is not model or not is_plain(model):
        return None
    try:
        parts = {path: _of_module(module) for path, module in model.named_modules()}
        parts |= {f"{kind.__module__}.{kind.__qualname__}": _of_class(kind) for kind in classes_of(model)}
        configured = {name: _of_configuration(model, name) for name in CONFIGURATIONS}
    except (DoubtError, RecursionError):
        return None
    tensors = [*model.named_parameters(), *model.named_buffers()]
    content = {
        "parts": parts,
        "configured": configured,
        "tensors": tensors_fingerprint(tensors),
        "devices": sorted({_device(tensor.device) for _, tensor in tensors}),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _of_module(module: nn.Module) -> Any:
    kind = type(module)
    if any(True for _ in hooks_of(module)):
        raise DoubtError
    settings = {}
    for name, value in vars(module).items():
        if name in INTERNAL or name in IDLE or name in CONFIGURATIONS:
            continue
        if callable(value) and not isinstance(value, type) and hasattr(kind, name):
            raise DoubtError  # in the place of a method
        settings[name] = _plain(value)
    return [f"{kind.__module__}.{kind.__qualname__}", settings]


def _of_class(kind: type) -> int:
    """The number of a class's methods, each of which is a library's."""
    methods = methods_of(kind)
    for method in methods.values():
        for function in _functions(method):
            if kind.__module__.partition(".")[0] in LIBRARIES and not is_library(
                function, contextlib.__file__
            ):
                raise DoubtError
    return len(methods)


def _functions(method: Any) -> list[Any]:
    if isinstance(method, property):
        return [one for one in (method.fget, method.fset, method.fdel) if one is not None]
    return [getattr(method, "__func__", method)]


def _of_configuration(model: nn.Module, name: str) -> Any:
    found: Any = getattr(model, name, None)
    if found is None:
        return None
    switches = {switch: str(getattr(found, switch, None)) for switch in SWITCHES}
    return [_plain(computing_keys(found.to_dict())), switches]


def _plain(value: Any) -> Any:
    """The value as JSON; of a library's function or class its name.

    Raises:
        DoubtError: it is something else.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {"mapping": [[_plain(key), _plain(one)] for key, one in value.items()]}
    if isinstance(value, set | frozenset):
        return {"set": sorted(json.dumps(_plain(one)) for one in value)}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, torch.dtype | torch.device):
        return str(value)
    if isinstance(value, Tensor):
        return tensors_fingerprint([("", value)])
    if isinstance(value, nn.Module):
        return "a module"  # of the model's, by another name
    if isinstance(value, partial):
        return ["partial", _plain(value.func), _plain(value.args), _plain(value.keywords)]
    if isinstance(value, BuiltinFunctionType):
        return f"{value.__module__}.{value.__qualname__}"
    if callable(value) and is_library(value):
        return f"{value.__module__}.{value.__qualname__}"
    if isinstance(value, type) and value.__module__.partition(".")[0] in (*LIBRARIES, "builtins"):
        return f"{value.__module__}.{value.__qualname__}"
    if callable(getattr(value, "to_dict", None)) and type(value).__module__.startswith("transformers."):
        return _plain(computing_keys(value.to_dict()))
    raise DoubtError


def _device(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
