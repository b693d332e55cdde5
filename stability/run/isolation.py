"""Keeping an editor and a measurement from leaving traces on each other: random numbers, modes, structure."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn


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
                torch.manual_seed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numbers)


@contextmanager
def measuring(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, no gradients, random states untouched; every module's mode is put back afterwards."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with random_state(), torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


class Structure:
    """A model's modules, hooks and attributes as they were, apart from the values of its tensors.

    Editors may wrap modules, register hooks, swap `forward` or add parameters; putting the structure back
    undoes all of that on the object itself.
    """

    def __init__(self, model: nn.Module) -> None:
        self._attributes = [(module, _shallow(module.__dict__)) for module in model.modules()]
        self._gradients = [(parameter, parameter.requires_grad) for parameter in model.parameters()]

    def restore(self) -> None:
        """Put every module's attributes back, clear gradients, and the flags that ask for them."""
        for module, attributes in self._attributes:
            module.__dict__.clear()
            module.__dict__.update(_shallow(attributes))
        for parameter, wanted in self._gradients:
            parameter.grad = None
            parameter.requires_grad_(wanted)


def _shallow(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes, with the mappings and lists among them copied one level deep."""
    return {
        name: value.copy() if type(value) in (dict, OrderedDict, list, set) else value
        for name, value in attributes.items()
    }
