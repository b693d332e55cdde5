"""Low-rank adapters in a model: their weights, and the random generators for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def adapter_weights(adapted: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The A and B of every adapter, [rank, d_in] and [d_out, rank], by name."""
    for name, weight in adapted.named_parameters():
        if ".lora_A." in name or ".lora_B." in name:
            yield name, weight


@contextmanager
def generators_restored(model: nn.Module) -> Iterator[None]:
    """Let code draw from the global generators, and restore them afterwards."""
    device = next(model.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
