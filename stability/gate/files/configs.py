"""Two configurations against each other: what decides how a model computes, and not how it was saved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stability.errors import ModelError, first_line
from stability.gate.files.folder import Folder
from stability.models.configuration import computing_keys


def config_differences(base: Folder, edited: Folder) -> dict[str, tuple[Any, Any]]:
    """The keys, dotted, whose values differ, with both values; None stands for a key that is not there.

    Where the files differ, both are read as transformers reads them, so that a default that one of them
    leaves out, or an older spelling, is no difference.
    """
    found = _differences(base.config, edited.config)
    if not found or base.config.get("model_type") != edited.config.get("model_type"):
        return found
    return _differences(_completed(base.path), _completed(edited.path))


def _flat(config: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested keys in dots."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            result |= _flat(value, f"{above}{key}.")
        else:
            result[f"{above}{key}"] = value
    return result


def _differences(base: Mapping[str, Any], edited: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    was, now = _flat(computing_keys(base)), _flat(computing_keys(edited))
    pairs = {key: (was.get(key), now.get(key)) for key in sorted(was.keys() | now.keys())}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def _completed(folder: Path) -> Mapping[str, Any]:
    from transformers import AutoConfig

    try:
        content: Mapping[str, Any] = AutoConfig.from_pretrained(str(folder)).to_dict()
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{folder / 'config.json'} is no configuration of a known model: {first_line(error)}"
        ) from error
    return content
