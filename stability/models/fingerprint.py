"""SHA-256 over what a model or tokenizer is, so that two runs can be told to be of the same one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from stability.models.tokens import Tokenizer


def tensors_fingerprint(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256, hexadecimal, over names, shapes, dtypes and bytes; the order given does not matter."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(json.dumps([name, list(tensor.shape), str(tensor.dtype)]).encode())
        if flat.numel():
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def model_fingerprint(model: nn.Module) -> str:
    """SHA-256, hexadecimal, over the names, shapes, dtypes and bytes of a model's parameters."""
    return tensors_fingerprint(model.named_parameters())


def tokenizer_fingerprint(tokenizer: Tokenizer) -> str:
    """SHA-256, hexadecimal, over all that decides which ids a text becomes.

    Padding and truncation are left out: calling a tokenizer changes them.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        rules: dict[str, Any] = {"class": type(tokenizer).__name__, "vocab": tokenizer.get_vocab()}
    else:
        rules = json.loads(backend.to_str())
        rules.pop("padding", None)
        rules.pop("truncation", None)
    rules["special_tokens_map"] = {key: str(value) for key, value in tokenizer.special_tokens_map.items()}
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()
