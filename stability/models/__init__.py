"""Models: loading, the map of their blocks and matrices, pristine copies, views of edited ones, tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.models.continuation import Continuation, recording, suspend
    from stability.models.describe import describe_model, model_name
    from stability.models.fingerprint import model_fingerprint, tokenizer_fingerprint, tokenizer_parts
    from stability.models.linear import LinearMap, NotLinearError
    from stability.models.load import LoadedModel, load_model, model_depth
    from stability.models.map import ModelMap, map_model, output_head
    from stability.models.snapshot import Snapshot, same_bytes
    from stability.models.text import TokenizedText, context_length, stated_context_length, tokenize_text
    from stability.models.tokens import (
        Asked,
        EncodedTarget,
        Tokenizer,
        encode,
        pad_id,
        pad_right,
        space_between,
        statement,
        subject_last_index,
    )
    from stability.models.unwrap import language_model, measurable
    from stability.models.view import View

__all__ = [
    "Asked",
    "Continuation",
    "EncodedTarget",
    "LinearMap",
    "LoadedModel",
    "ModelMap",
    "NotLinearError",
    "Snapshot",
    "TokenizedText",
    "Tokenizer",
    "View",
    "context_length",
    "describe_model",
    "encode",
    "language_model",
    "load_model",
    "map_model",
    "measurable",
    "model_depth",
    "model_fingerprint",
    "model_name",
    "output_head",
    "pad_id",
    "pad_right",
    "recording",
    "same_bytes",
    "space_between",
    "stated_context_length",
    "statement",
    "subject_last_index",
    "suspend",
    "tokenize_text",
    "tokenizer_fingerprint",
    "tokenizer_parts",
]

__getattr__ = attributes_from(
    __name__,
    {
        "stability.models.continuation": (
            "Continuation",
            "recording",
            "suspend",
        ),
        "stability.models.describe": (
            "describe_model",
            "model_name",
        ),
        "stability.models.fingerprint": (
            "model_fingerprint",
            "tokenizer_fingerprint",
            "tokenizer_parts",
        ),
        "stability.models.linear": (
            "LinearMap",
            "NotLinearError",
        ),
        "stability.models.load": (
            "LoadedModel",
            "load_model",
            "model_depth",
        ),
        "stability.models.map": (
            "ModelMap",
            "map_model",
            "output_head",
        ),
        "stability.models.snapshot": (
            "Snapshot",
            "same_bytes",
        ),
        "stability.models.text": (
            "TokenizedText",
            "context_length",
            "stated_context_length",
            "tokenize_text",
        ),
        "stability.models.tokens": (
            "Asked",
            "EncodedTarget",
            "Tokenizer",
            "encode",
            "pad_id",
            "pad_right",
            "space_between",
            "statement",
            "subject_last_index",
        ),
        "stability.models.unwrap": (
            "language_model",
            "measurable",
        ),
        "stability.models.view": ("View",),
    },
)
