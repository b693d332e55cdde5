"""A model's structure, put back after an editor has changed it: modules, hooks, attributes and gradients."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

from torch import nn

from stability.models.composition import CONFIGURATIONS, classes_of, methods_of


class Structure:
    """A model's modules, hooks and attributes as they were, apart from the values of its tensors.

    Editors may wrap modules, register hooks, swap `forward`, on a module or its class, change configurations
    or add parameters; putting the structure back undoes all of that on the object itself.
    """

    def __init__(self, model: nn.Module) -> None:
        self._attributes = [(module, _shallow(module.__dict__)) for module in model.modules()]
        self._classes = [(kind, methods_of(kind)) for kind in classes_of(model)]
        self._configurations = [
            (one, copy.deepcopy(vars(one)))
            for one in (getattr(model, name, None) for name in CONFIGURATIONS)
            if one is not None
        ]
        self._gradients = [(parameter, parameter.requires_grad) for parameter in model.parameters()]

    def restore(self) -> None:
        """Put every module's attributes back, clear gradients, and the flags that ask for them."""
        for module, attributes in self._attributes:
            module.__dict__.clear()
            module.__dict__.update(_shallow(attributes))
        for kind, methods in self._classes:
            _put_methods_back(kind, methods)
        for configuration, attributes in self._configurations:
            if vars(configuration) != attributes:
                vars(configuration).clear()
                vars(configuration).update(copy.deepcopy(attributes))
        for parameter, wanted in self._gradients:
            parameter.grad = None
            parameter.requires_grad_(wanted)


def _put_methods_back(kind: type, methods: dict[str, Any]) -> None:
    now = methods_of(kind)
    for name in now.keys() - methods.keys():
        delattr(kind, name)
    for name, method in methods.items():
        if now.get(name) is not method:
            setattr(kind, name, method)


def _shallow(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes, with the mappings and lists among them copied one level deep."""
    return {
        name: value.copy() if type(value) in (dict, OrderedDict, list, set) else value
        for name, value in attributes.items()
    }
