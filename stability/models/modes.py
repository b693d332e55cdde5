"""Working on a model and leaving its modes and gradient flags as they were, even when something raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """While open, the model is in eval mode, no parameter asks for a gradient, and gradients can be taken."""
    training = [module for module in model.modules() if module.training]
    asking = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.eval().requires_grad_(False)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        model.requires_grad_(False)
        for parameter in asking:
            parameter.requires_grad_(True)
        for module in training:
            module.training = True
