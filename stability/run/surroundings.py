"""What an editor leaves as it found it: a model's modes, hooks, modules and gradients, and global state."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn.modules import module as torch_module

Aspect = Literal["modes", "hooks", "modules", "gradients", "globals"]
Surroundings = Mapping[Aspect, Mapping[str, Any]]
"""By aspect: what each thing, by name, was like."""

HOOKS = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)
GLOBAL_HOOKS = tuple(f"_global{kind}" for kind in HOOKS[:4])


@dataclass(frozen=True)
class Flag:
    """A setting of the whole process, and how it is read and written."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]


def _set_device(device: torch.device) -> None:
    # None, because a default device that is set costs time at every call of torch.
    torch.set_default_device(None if device.type == "cpu" else device)


def _determinism() -> tuple[bool, bool]:
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )


def _cudnn(name: str) -> Flag:
    return Flag(
        f"torch.backends.cudnn.{name}",
        lambda: getattr(torch.backends.cudnn, name),
        lambda value: setattr(torch.backends.cudnn, name, value),
    )


GRAD_MODE = Flag("torch.is_grad_enabled()", torch.is_grad_enabled, torch.set_grad_enabled)
FLAGS = (
    Flag("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    Flag("torch's default device", torch.get_default_device, _set_device),
    Flag("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
    Flag(
        "torch's deterministic algorithms",
        _determinism,
        lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
    ),
    Flag(
        "torch's float32 matmul precision",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    ),
    Flag(
        "torch's autocast on the CPU",
        lambda: torch.is_autocast_enabled("cpu"),
        lambda value: torch.set_autocast_enabled("cpu", value),
    ),
    Flag(
        "torch's autocast on the GPU",
        lambda: torch.is_autocast_enabled("cuda"),
        lambda value: torch.set_autocast_enabled("cuda", value),
    ),
    Flag("torch's anomaly detection", torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    Flag("torch.is_inference_mode_enabled()", torch.is_inference_mode_enabled, lambda _: None),
    _cudnn("deterministic"),
    _cudnn("benchmark"),
    Flag("numpy's error handling", np.geterr, lambda value: np.seterr(**value)),
    Flag("the working directory", os.getcwd, os.chdir),
)


def look(model: nn.Module) -> Surroundings:
    """Everything by aspect, as it is now."""
    return {
        "modes": {
            path or "the model": "training" if module.training else "eval"
            for path, module in model.named_modules()
        },
        "hooks": _hooks(model),
        "modules": _modules(model),
        "gradients": {
            **{name: _gradient(parameter) for name, parameter in model.named_parameters()},
            GRAD_MODE.name: GRAD_MODE.read(),
        },
        "globals": {flag.name: flag.read() for flag in FLAGS},
    }


def differences(before: Surroundings, after: Surroundings, aspect: Aspect) -> list[str]:
    """What differs in one aspect, one line each: `NAME: was A, is B`.

    Modules, parameters and hooks may come and go; of the other aspects only what is there both times counts.
    """
    old, new = before[aspect], after[aspect]
    names = {**old, **new} if aspect in ("hooks", "modules") else [name for name in old if name in new]
    return [
        f"{name}: was {old.get(name, 'not there')}, is {new.get(name, 'gone')}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def read_flags() -> dict[str, Any]:
    """The flags of the process by name, as they are now."""
    return {flag.name: flag.read() for flag in (*FLAGS, GRAD_MODE)}


@contextmanager
def flags_kept() -> Iterator[None]:
    """Put the flags of the process back afterwards, as far as they can be."""
    before = [(flag, flag.read()) for flag in (*FLAGS, GRAD_MODE)]
    try:
        yield
    finally:
        for flag, value in before:
            if flag.read() != value:
                flag.write(value)


def _hooks(model: nn.Module) -> dict[str, str]:
    """Every place that has hooks, with their number and what they are."""
    found: dict[str, str] = {}
    for path, module in model.named_modules():
        for kind in HOOKS:
            hooks = getattr(module, kind, None)
            if hooks:
                found[f"{path or 'the model'}, {_words(kind)}"] = _named(hooks)
    for name, parameter in model.named_parameters():
        for kind in ("_backward_hooks", "_post_accumulate_grad_hooks"):
            hooks = getattr(parameter, kind, None)
            if hooks:
                found[f"{name}, {_words(kind)}"] = _named(hooks)
    for kind in GLOBAL_HOOKS:
        hooks = getattr(torch_module, kind)
        if hooks:
            found[f"every module, {_words(kind)}"] = _named(hooks)
    return found


def _words(kind: str) -> str:
    return kind.removeprefix("_global").strip("_").replace("_", " ")


def _named(hooks: Mapping[int, Any]) -> str:
    names = ", ".join(getattr(hook, "__name__", type(hook).__name__) for hook in hooks.values())
    return f"{len(hooks)} ({names})"


def _modules(model: nn.Module) -> dict[str, str]:
    """Every module by its class, whether its forward was replaced, and the names of its tensors."""
    found: dict[str, str] = {}
    for path, module in model.named_modules():
        replaced = " with another forward" if "forward" in vars(module) else ""
        found[path or "the model"] = f"a {type(module).__qualname__}{replaced}"
    found |= {name: "a parameter" for name, _ in model.named_parameters()}
    found |= {name: "a buffer" for name, _ in model.named_buffers()}
    return found


def _gradient(parameter: nn.Parameter) -> str:
    words = [
        "asking for gradients" if parameter.requires_grad else "frozen",
        *(["holding a gradient"] if parameter.grad is not None else []),
    ]
    return " and ".join(words)
