"""A model's configuration without what says nothing about how it computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INCIDENTAL = (
    "_name_or_path",
    "_attn_implementation_autoset",
    "architectures",
    "dtype",  # every tensor has its own
    "torch_dtype",
    "transformers_version",
    "transformers_weights",  # a file's name; what is in it is compared
    "use_cache",
)
"""Keys that say where a model came from and how it was saved or called, at any depth of a configuration."""


def computing_keys(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration, nested as it was, without the incidental keys."""
    return {
        key: computing_keys(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if key not in INCIDENTAL
    }
