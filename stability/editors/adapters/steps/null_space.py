"""The arguments of AlphaEdit's function: the keys' null space, and the keys of earlier edits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stability.editors.locate.steps.covariance import stored_second_moments
from stability.editors.locate.steps.settings import CovarianceSettings
from stability.models import Tokenizer, map_model
from stability.store import Store


def projections(
    model: nn.Module,
    tokenizer: Tokenizer,
    layers: Sequence[int],
    threshold: float,
    covariance: CovarianceSettings,
    store: Store,
) -> Tensor:
    """P of each layer, [layers, d_key, d_key] on the CPU: onto the directions that keys of text hardly use.

    P = U₀U₀ᵀ, where U₀ are the eigenvectors of E[k kᵀ] with eigenvalues below the threshold (AlphaEdit, Fang
    et al. 2025, arXiv 2410.02355, section 3.1).
    """
    moments = stored_second_moments(model, map_model(model), tokenizer, layers, covariance, store)
    return torch.stack([_projection(moments[layer], threshold) for layer in layers])


def projections_by(
    project: Callable[..., Tensor],
    model: nn.Module,
    tokenizer: Tokenizer,
    layers: Sequence[int],
    hparams: Any,
) -> Tensor:
    """P of each layer by the system's own `get_project(model, tok, layer, hparams)`."""
    return torch.stack([project(model, tokenizer, layer, hparams).float().cpu() for layer in layers])


def empty_cache(model: nn.Module, layers: Sequence[int]) -> Tensor:
    """Σ k kᵀ over no edits yet: zeros, [layers, d_key, d_key] on the CPU."""
    size = map_model(model).matrix(layers[0], "mlp_out").d_in
    return torch.zeros(len(layers), size, size)


def _projection(moment: Tensor, threshold: float) -> Tensor:
    values, vectors = torch.linalg.eigh(moment)
    unused = vectors[:, values < threshold]  # [d_key, n]
    projection: Tensor = unused @ unused.T
    return projection.float().cpu()
