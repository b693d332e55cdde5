"""A model's structure, put back after an editor has changed it: modules, hooks, attributes and gradients."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import nn


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
