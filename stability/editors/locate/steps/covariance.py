"""The second moment of an MLP's keys over text, C = E[k kᵀ], and solving with it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

from stability.data.documents import load_documents
from stability.editors.locate.steps.settings import CovarianceSettings
from stability.errors import EditorError
from stability.models import (
    ModelMap,
    TokenizedText,
    Tokenizer,
    context_length,
    model_name,
    pad_right,
    tokenize_text,
)
from stability.models.configuration import computing_keys
from stability.models.early_exit import end_forward, may_end_early
from stability.store import Store, tensors_fingerprint

log = logging.getLogger(__name__)

BATCH_TOKENS = 4096


def second_moments(
    model: nn.Module, found: ModelMap, text: TokenizedText, layers: Sequence[int]
) -> dict[int, Tensor]:
    """C = E[k kᵀ] for the MLP output matrix of each layer, uncentred, float64 [d_key, d_key], in one pass.

    k is what the matrix multiplies; the mean is over all tokens of the text, products are summed in float64.
    """
    sums: dict[int, Tensor] = {}
    device = next(model.parameters()).device
    mask = torch.empty(0)  # of the batch that is running

    def accumulate(layer: int) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...]) -> None:
            keys = args[0][mask.bool()].double()  # [tokens, d_key]
            product = keys.T @ keys
            sums[layer] = sums[layer].add_(product) if layer in sums else product
            if layer == max(layers):
                end_forward()

        return hook

    with ExitStack() as stack, torch.no_grad():
        for layer in set(layers):
            handle = found.module(layer, "mlp_out").register_forward_pre_hook(accumulate(layer))
            stack.callback(handle.remove)
        for input_ids, attention_mask in _batches(text):
            mask = attention_mask.to(device)
            with may_end_early():
                model(input_ids=input_ids.to(device), attention_mask=mask, use_cache=False)
    return {layer: sums[layer] / text.tokens for layer in sorted(sums)}


def _batches(text: TokenizedText) -> Iterator[tuple[Tensor, Tensor]]:
    """Windows sorted by length, so that there is little padding."""
    batch: list[list[int]] = []
    for window in sorted(text.windows, key=len):
        if batch and len(window) * (len(batch) + 1) > BATCH_TOKENS:
            yield pad_right(batch, 0)
            batch = []
        batch.append(window.tolist())
    if batch:
        yield pad_right(batch, 0)


def stored_second_moments(
    model: nn.Module,
    found: ModelMap,
    tokenizer: Tokenizer,
    layers: Sequence[int],
    settings: CovarianceSettings,
    store: Store,
) -> dict[int, Tensor]:
    """The second moments from the store, or computed and stored. The model should be the unedited one.

    Raises:
        DataError: the text cannot be read, or is too short.
        EditorError: the store cannot be written to.
    """
    text = tokenize_text(
        tokenizer,
        load_documents(settings.mom2_dataset, settings.mom2_path),
        tokens=settings.mom2_n_tokens,
        max_length=context_length(model),
    )
    keys = {layer: _key(model, found, text, layer) for layer in layers}
    stored = {layer: store.load(key) for layer, key in keys.items()}
    moments = {layer: entry["moment"] for layer, entry in stored.items() if entry is not None}
    missing = [layer for layer in layers if layer not in moments]
    if missing:
        log.info("covariance of layers %s over %d tokens", missing, text.tokens)
        for layer, moment in second_moments(model, found, text, missing).items():
            store.save(keys[layer], {"moment": moment}, about=model_name(model))
            moments[layer] = moment
    return moments


def _key(model: nn.Module, found: ModelMap, text: TokenizedText, layer: int) -> dict[str, Any]:
    """Everything that a layer's covariance depends on: the weights up to its MLP, and the text."""
    above = {id(parameter) for block in found.blocks[layer + 1 :] for parameter in block.parameters()}
    above |= {id(parameter) for part in (found.final_norm, found.head) for parameter in part.parameters()}
    above -= {id(parameter) for parameter in found.embedding.parameters()}
    config: Any = model.config
    return {
        "what": "second moment of the keys of mlp_out",
        "layer": layer,
        "config": computing_keys(json.loads(config.to_json_string())),
        "weights": tensors_fingerprint(
            (name, parameter) for name, parameter in model.named_parameters() if id(parameter) not in above
        ),
        "text": text.fingerprint,
        "tokens": text.tokens,
    }


class CovarianceSolver:
    """A second moment with its ridge, factored once: C⁻¹k costs two triangular solves.

    With `weight` and `shift`, weight·(C + ridge) + shift·I is factored.
    """

    def __init__(self, moment: Tensor, ridge: float, weight: float = 1.0, shift: float = 0.0) -> None:
        size = len(moment)
        added = weight * ridge * moment.diagonal().mean() + shift
        self._factor, failed = torch.linalg.cholesky_ex(
            weight * moment + added * torch.eye(size, dtype=moment.dtype, device=moment.device)
        )
        if failed.item():
            raise EditorError(
                f"the covariance of {size} key dimensions is singular; set mom2_n_tokens well above {size}, "
                "or mom2_ridge to, say, 0.01"
            )

    def solve(self, keys: Tensor) -> Tensor:
        """C⁻¹k in float64, for keys [d_key] or [n, d_key]."""
        columns = keys.to(self._factor).reshape(-1, keys.shape[-1]).T  # [d_key, n]
        return torch.cholesky_solve(columns, self._factor).T.reshape(keys.shape)
