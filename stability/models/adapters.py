"""The configuration of a PEFT adapter, checked before anything works with it: kinds of values, and patterns.

Patterns in it are regular expressions of whoever made the adapter. One with a group that is repeated, or with
many repetitions, can take longer than anybody waits, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from stability.errors import ModelError
from stability.models.files import ADAPTER_CONFIG, read_json

NEEDED = ("r", "lora_alpha")  # not null
MOST_REPEATED = 4
PLAIN = re.compile(r"\\.|\[\^?\]?[^\]]*\]")  # an escaped character, or one of several
REPEATED = re.compile(r"[*+{]")


def read_adapter_config(folder: Path) -> Mapping[str, Any]:
    """The configuration of the adapter in a folder.

    Raises:
        ModelError: it is missing, or holds something that PEFT cannot work with.
    """
    file = folder / ADAPTER_CONFIG
    config = read_json(file, "no adapter in it")
    if not isinstance(config, dict):
        raise ModelError(f"{file} is no adapter's configuration")
    for key, (is_fit, expected) in FIT.items():
        is_absent = key not in config or (config[key] is None and key not in NEEDED)
        if not is_absent and not is_fit(config[key]):
            raise ModelError(f"{file}: {key} is {config[key]!r}; expected {expected}")
    for pattern in _patterns(config):
        if reason := _fault(pattern):
            raise ModelError(f"{file}: the pattern {pattern!r} {reason}")
    return config


def _patterns(config: Mapping[str, Any]) -> Iterator[str]:
    for key in ("target_modules", "exclude_modules"):
        if isinstance(config.get(key), str):
            yield config[key]
    for key in ("rank_pattern", "alpha_pattern"):
        yield from config.get(key) or ()


def _fault(pattern: str) -> str:
    """What is wrong with a regular expression; empty if nothing is."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is no regular expression: {error}"
    bare = PLAIN.sub("x", pattern)
    if re.search(r"\)\s*[*+{]", bare) or len(REPEATED.findall(bare)) > MOST_REPEATED:
        return (
            "repeats a group or has many repetitions, which could take for ever; name the modules in a list"
        )
    return ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _is_rank(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**6


def _is_names(value: object) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(name, str) for name in value)
    )


def _by_pattern(is_fit: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and all(map(is_fit, value.values()))


def _is_layers(value: object) -> bool:
    return all(type(layer) is int for layer in (value if isinstance(value, list) else [value]))


FIT: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "r": (_is_rank, "a rank, a whole number above 0"),
    "lora_alpha": (_is_number, "a number"),
    "rank_pattern": (_by_pattern(_is_rank), "ranks by pattern"),
    "alpha_pattern": (_by_pattern(_is_number), "numbers by pattern"),
    "target_modules": (_is_names, "a pattern or a list of modules"),
    "exclude_modules": (_is_names, "a pattern or a list of modules"),
    "modules_to_save": (_is_names, "a list of modules"),
    "layers_to_transform": (_is_layers, "a layer or a list of layers"),
}
