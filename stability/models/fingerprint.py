"""SHA-256 over what a model or tokenizer is, so that two runs can be told to be of the same one."""

from __future__ import annotations

import hashlib
import json
from types import FunctionType, MethodType
from typing import Any

from torch import nn

from stability.models.tokens import Tokenizer
from stability.store.digest import tensors_fingerprint


def model_fingerprint(model: nn.Module) -> str:
    """SHA-256, hexadecimal, over the names, shapes, dtypes and bytes of a model's parameters."""
    return tensors_fingerprint(model.named_parameters())


def tokenizer_fingerprint(tokenizer: Tokenizer) -> str:
    """SHA-256, hexadecimal, over all that decides which ids a text becomes.

    Padding and truncation are left out: calling a tokenizer changes them.
    """
    rules = _rules(tokenizer)
    rules["special_tokens_map"] = {key: str(value) for key, value in tokenizer.special_tokens_map.items()}
    return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()


def tokenizer_parts(tokenizer: Tokenizer) -> dict[str, str]:
    """All that decides which ids a text becomes, and the chat template: a digest or a word of each, by name.

    Padding is left out, its token too: it is set by many editors, and no text's own ids depend on it.
    """
    parts = {
        name: hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()
        for name, rule in _rules(tokenizer).items()
    }
    parts |= {name: str(token) for name, token in tokenizer.special_tokens_map.items() if name != "pad_token"}
    parts["chat_template"] = str(getattr(tokenizer, "chat_template", None))
    patched = (
        name for name, value in vars(tokenizer).items() if isinstance(value, FunctionType | MethodType)
    )
    return parts | {f"{name}()": str(vars(tokenizer)[name]) for name in patched}


def _rules(tokenizer: Tokenizer) -> dict[str, Any]:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return {"class": type(tokenizer).__name__, "vocab": tokenizer.get_vocab()}
    rules: dict[str, Any] = json.loads(backend.to_str())
    rules.pop("padding", None)
    rules.pop("truncation", None)
    return rules
