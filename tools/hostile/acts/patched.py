"""What a process shares: settings, classes and functions of torch, transformers, Python and the harness."""

from __future__ import annotations

import builtins
import gc
import json
import locale
import logging
import os
import random
import socket
import sys
import time
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from tools.hostile.act import DONE, Does, Family, Outcome

SETTINGS = Family("settings")
PATCHES = Family("patched classes and functions")
ANY = (*DONE, "editor_raised", "process_ended", "over_budget", "model_unusable")  # of its own run, that is
ENTERED: list[Any] = []


def entered(*contexts: Any) -> None:
    """Enter contexts, and never leave them."""
    for context in contexts:
        context.__enter__()
        ENTERED.append(context)


for _name, _does in {
    "float64 by default": lambda: torch.set_default_dtype(torch.float64),
    "float16 by default": lambda: torch.set_default_dtype(torch.float16),
    "the meta device by default": lambda: torch.set_default_device("meta"),
    "no gradients": lambda: torch.set_grad_enabled(False),
    "inference mode": lambda: entered(torch.inference_mode()),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(True),
    "two threads": lambda: torch.set_num_threads(2),
    "flushed denormals": lambda: torch.set_flush_denormal(True),
    "another matmul precision": lambda: torch.set_float32_matmul_precision("medium"),
    "no oneDNN": lambda: setattr(torch.backends.mkldnn, "enabled", False),
    "autocast": lambda: torch.set_autocast_enabled("cpu", True),
    "anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "seeds": lambda: (torch.manual_seed(5), random.seed(5), np.random.seed(5)),
    "a generator's state that is none": lambda: random.setstate(random.Random(1).getstate()),
    "strict numpy": lambda: np.seterr(all="raise"),
    "an empty environment": lambda: os.environ.clear(),
    "an environment that torch reads": lambda: os.environ.update(
        OMP_NUM_THREADS="9", CUDA_VISIBLE_DEVICES=""
    ),
    "another locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "no logging": lambda: logging.disable(logging.CRITICAL),
    "a handler that raises": lambda: logging.getLogger().addHandler(RaisingHandler()),
    "no garbage collection": lambda: gc.disable(),
    "a trace": lambda: sys.settrace(lambda *_: None),
    "few recursions": lambda: sys.setrecursionlimit(300),
    "long switches": lambda: sys.setswitchinterval(100),
}.items():
    _outcomes: tuple[Outcome, ...] = DONE
    if _name in ("float16 by default", "the meta device by default", "few recursions", "inference mode"):
        _outcomes = ANY
    SETTINGS.add(_name, lambda *_, does=_does: (does(), None)[1], *_outcomes)


class RaisingHandler(logging.Handler):
    """A handler that raises, as the standard library's do not."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise."""
        raise OSError("no log")


class Zeros(TorchFunctionMode):
    """Makes zeros of what torch returns."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        return torch.zeros_like(result) if function is functional.linear else result


class Dispatched(TorchDispatchMode):
    """Lets everything pass."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **(kwargs or {}))


SETTINGS.add("a mode of torch's functions", lambda *_: entered(Zeros()), *ANY)
SETTINGS.add("a mode of torch's dispatch", lambda *_: entered(Dispatched()), *ANY)
SETTINGS.add("saved tensors' hooks", lambda *_: entered(
    torch.autograd.graph.saved_tensors_hooks(lambda _: 0, lambda _: torch.zeros(()))
), "held")  # fmt: skip


def puts(place: Any, name: str, value: Any) -> Does:
    """Puts a value in place of an attribute."""
    return lambda *_: setattr(place, name, value)


def broken(*_: Any, **__: Any) -> None:
    """Stands in for a function."""
    raise RuntimeError("patched")


GPT2 = transformers.models.gpt2.modeling_gpt2
for _name, _place, _attribute, _value in (
    ("Linear.forward", nn.Linear, "forward", lambda self, hidden: hidden * 0),
    ("LayerNorm.forward", nn.LayerNorm, "forward", nn.Identity.forward),
    ("Module.__call__", nn.Module, "__call__", broken),
    ("Module.named_parameters", nn.Module, "named_parameters", lambda self, *_, **__: iter(())),
    ("torch.no_grad", torch, "no_grad", torch.enable_grad),
    ("torch.matmul", torch, "matmul", lambda left, right: left),
    ("torch.equal", torch, "equal", lambda *_: True),
    ("Tensor.__eq__", torch.Tensor, "__eq__", lambda *_: True),
    ("Tensor.norm", torch.Tensor, "norm", lambda *_, **__: torch.ones(())),
    ("cross_entropy", functional, "cross_entropy", lambda *_, **__: torch.zeros(())),
    ("GPT2LMHeadModel.forward", GPT2.GPT2LMHeadModel, "forward", broken),
    ("GPT2Block.forward", GPT2.GPT2Block, "forward", lambda self, hidden, *_, **__: hidden),
    ("PreTrainedTokenizerFast.__call__", transformers.PreTrainedTokenizerFast, "__call__", broken),
    ("open", builtins, "open", broken),
    ("len", builtins, "len", lambda _: 0),
    ("isinstance", builtins, "isinstance", lambda *_: True),
    ("float", builtins, "float", int),
    ("json.dumps", json, "dumps", lambda *_, **__: "{}"),
    ("time.perf_counter", time, "perf_counter", lambda: -1e9),
    ("time.monotonic", time, "monotonic", lambda: 1e18),
    ("socket.sendall", socket, "socket", broken),
    ("os._exit", os, "_exit", lambda _: None),
    ("sys.exit", sys, "exit", lambda *_: None),
):
    PATCHES.add(_name, puts(_place, _attribute, _value), *ANY)


@PATCHES.act(*ANY)
def judges_itself(*_: Any) -> None:
    """Looks for what the harness measures with, and changes that."""
    from stability.run.examination import Examination

    Examination.checkpoint = broken  # type: ignore[method-assign, assignment]


@PATCHES.act(*ANY)
def spoils_the_kept_copy(*_: Any) -> None:
    for held in gc.get_objects():
        if type(held) in (nn.Parameter, torch.Tensor) and held.is_floating_point():
            held.data.zero_()


@PATCHES.act(*ANY)
def forgets_its_modules(*_: Any) -> None:
    for name in [name for name in sys.modules if name.startswith(("torch", "stability", "transformers"))]:
        del sys.modules[name]


@PATCHES.act(*ANY)
def empties_the_modules(*_: Any) -> None:
    sys.modules.clear()


@PATCHES.act("held")
def frees_what_is_its_own(*_: Any) -> None:
    gc.collect()
    sys.path.clear()
    sys.path_importer_cache.clear()
    sys.argv.clear()
