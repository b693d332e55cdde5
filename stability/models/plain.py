"""Whether a model is called as its library made it, so that what it computes may be taken by shorter ways."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.modules import module as torch_module

LIBRARIES = ("torch", "transformers", "peft", "accelerate")  # which treat each row, and each token, alike


def is_plain(model: nn.Module) -> bool:
    """Whether every module is of a library, runs the library's `forward`, and has no one else's hooks.

    Only then may prompts be batched with padding, share a row, or have logits at some of their tokens alone:
    a wrapper may look at where the prompt ends, at the whole batch, or at the logits of all tokens. Whether
    it does cannot be tried out, for it may do so for some prompts only.
    """
    if any(not is_library(hook) for hook in _hooks_of_all()):
        return False
    return all(_is_plain(module) for module in model.modules())


def generates_plainly(model: nn.Module) -> bool:
    """Whether what `generate` writes is what the model's logits say: it is a library's, or there is none."""
    generate = getattr(model, "generate", None)
    return generate is None or is_library(generate)


def underlying(function: Any) -> Any:
    """The plain function behind a bound method or a partial."""
    while isinstance(function, partial) or hasattr(function, "__func__"):
        function = function.func if isinstance(function, partial) else function.__func__
    return function


def hooks_of(module: nn.Module) -> Iterator[Any]:
    """What is called before or after the module's forward pass."""
    yield from module._forward_pre_hooks.values()
    yield from module._forward_hooks.values()


def _hooks_of_all() -> Iterator[Any]:
    """Hooks that torch calls around every module."""
    yield from torch_module._global_forward_pre_hooks.values()
    yield from torch_module._global_forward_hooks.values()


def _is_plain(module: nn.Module) -> bool:
    kind = type(module)
    if kind.__module__.partition(".")[0] not in LIBRARIES:
        return False
    called = [kind.__call__, module.forward, kind.forward, *hooks_of(module)]
    return all(is_library(function) for function in called)


def is_library(function: Any, *besides: str) -> bool:
    """Whether its code, and that of what it was laid round, is a library's, or one of the files' besides."""
    while function is not None:
        inside = getattr(function, "__wrapped__", None)
        function = underlying(function)
        code = getattr(function, "__code__", None)
        if code is None or not code.co_filename.startswith((*_folders(), *besides)):
            return False
        function = inside or getattr(function, "__wrapped__", None)
    return True


def _folders() -> tuple[str, ...]:
    """The folders of the libraries that are loaded, each with the separator at its end."""
    files = (getattr(sys.modules.get(name), "__file__", None) for name in LIBRARIES)
    return tuple(_folder(file) for file in files if file is not None)


@cache
def _folder(file: str) -> str:
    return f"{Path(file).parent}{os.sep}"
