"""Working on a model and leaving no trace: its modes, its gradient flags, and the global random states."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """While open, the model is in eval mode and no gradients are taken; modes are put back afterwards."""
    # Not inference_mode: what a model caches under it could not be used by an editor's gradients later.
    with _eval_mode(model), torch.no_grad():
        yield


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """While open, the model is in eval mode, no parameter asks for a gradient, and gradients can be taken.

    Modes and the parameters' flags are put back afterwards, even when something raises.
    """
    asking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with _eval_mode(model), torch.inference_mode(False), torch.enable_grad():
        model.requires_grad_(False)
        try:
            yield
        finally:
            model.requires_grad_(False)
            for parameter in asking:
                parameter.requires_grad_(True)


@contextmanager
def random_state(seed: int | None = None) -> Iterator[None]:
    """Restore the global random states of Python, numpy and torch afterwards; seed them first if asked."""
    python, numbers = random.getstate(), np.random.get_state()
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        try:
            if seed is not None:
                random.seed(seed)
                np.random.seed(seed % 2**32)
                torch.manual_seed(seed % 2**64)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)


@contextmanager
def _eval_mode(model: nn.Module) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
