"""A PEFT adapter laid over a model's tensors: LoRA, merged as its numbers are read; other kinds are refused.

W + s B A, with s = alpha / r or, rank-stabilised, alpha / √r. Nothing is rounded to the dtype of W, as
nothing is where the adapter is called beside it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stability.errors import ModelError
from stability.gate.files.folder import LowRank, Stored, read_header
from stability.gate.files.layout import HEAD, Layout
from stability.gate.weights.numbers import numbers_of
from stability.gate.weights.windows import Reader, Window
from stability.models.adapters import read_adapter_config
from stability.models.files import ADAPTER_CONFIG, adapter_file

PREFIX = "base_model.model."
PARTS = re.compile(r"(.+)\.lora_(embedding_)?([AB])(?:\.weight)?$")
INSTEAD = "merge it and save the model"
STARTS_BESIDE = (True, False, None, "gaussian", "orthogonal", "eva")  # other ways of starting change W itself
WITHOUT_EFFECT = frozenset(
    {
        *(
            "auto_mapping",
            "base_model_name_or_path",
            "inference_mode",
            "peft_type",
            "peft_version",
            "revision",
        ),
        *("task_type", "r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "fan_in_fan_out"),
        *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save"),
        *("lora_dropout", "eva_config", "runtime_config", "megatron_core", "qalora_group_size"),
    }
)
"""Settings of LoRA that change nothing in W + s B A, or that are worked with here."""


@dataclass(frozen=True)
class LowRankPair:
    """The two factors of one module's change, as the adapter's file has them."""

    first: NDArray[np.float32]  # A, [r, d_in]
    second: NDArray[np.float32]  # B, [d_out, r]
    is_embedding: bool

    @property
    def rank(self) -> int:
        """The number of rows of A, which is that of columns of B."""
        return int(self.first.shape[0])


def merged(layout: Layout) -> Layout:
    """The layout with its folder's adapter added to the tensors that it changes; as it was, if there is none.

    Raises:
        ModelError: the adapter is no LoRA that can be merged, or does not fit the model.
    """
    folder = layout.folder.adapter
    if folder is None:
        return layout
    config = read_adapter_config(folder)
    _refuse_others(folder, config)
    pairs, whole = _read(folder)
    tensors = dict(layout.tensors)
    for key, tensor in whole.items():
        name = key.replace(".base_layer.", ".")  # PEFT saves an embedding whole beside its factors
        module = name.rpartition(".")[0]
        is_saved = module in pairs if name != key else _is_named(config.get("modules_to_save"), module)
        if not is_saved or name not in (*tensors, HEAD):
            raise ModelError(f"the adapter in {folder} holds {name}, which is no weight that it can replace")
        tensors[name] = replace(tensor, name=name)
    for module in _targets(config, tensors) - pairs.keys():
        raise ModelError(f"the adapter in {folder} is incomplete: it has no weights for {module}")
    for module, pair in pairs.items():
        name = f"{module}.weight"
        if name not in tensors:
            raise ModelError(f"the adapter in {folder} changes {module}, which {layout.folder.path} has not")
        added = _low_rank(folder, layout, module, pair, config)
        if added.left.any() and added.right.any():
            tensors[name] = replace(tensors[name], added=added)
    return replace(layout, tensors=tensors)


def _refuse_others(folder: Path, config: Mapping[str, Any]) -> None:
    where = folder / ADAPTER_CONFIG
    kind = config.get("peft_type")
    if kind != "LORA":
        raise ModelError(f"{where}: an adapter of type {kind} cannot be merged here; {INSTEAD}")
    start = config.get("init_lora_weights", True)
    if start not in STARTS_BESIDE:
        raise ModelError(f"{where}: init_lora_weights {start!r} changes the model under it; {INSTEAD}")
    checked = {"bias": "none", "init_lora_weights": start}
    for key, value in config.items():
        if key not in WITHOUT_EFFECT and value and value != checked.get(key):
            raise ModelError(f"{where}: LoRA with {key} cannot be merged here; {INSTEAD}")


def _read(folder: Path) -> tuple[dict[str, LowRankPair], dict[str, Stored]]:
    """The pairs of factors by module, and the tensors that replace the model's whole, by name."""
    factors: dict[str, dict[str, NDArray[np.float32]]] = {}
    embeddings: set[str] = set()
    whole: dict[str, Stored] = {}
    reader = Reader()
    try:
        for stored in read_header(adapter_file(folder)):
            name = stored.name.removeprefix(PREFIX)
            found = PARTS.match(name)
            if found is None:
                whole[name] = stored
                continue
            values = numbers_of(reader, stored, Window(stored.name, 0, stored.elements))
            factors.setdefault(found[1], {})[found[3]] = np.array(values, np.float32).reshape(stored.shape)
            if found[2]:
                embeddings.add(found[1])
    finally:
        reader.close()
    pairs = {}
    for module, parts in factors.items():
        if set(parts) != {"A", "B"} or any(part.ndim != 2 for part in parts.values()):
            raise ModelError(f"the adapter in {folder} does not hold both factors of {module} as matrices")
        pairs[module] = LowRankPair(parts["A"], parts["B"], module in embeddings)
    return pairs, whole


def _low_rank(
    folder: Path, layout: Layout, module: str, pair: LowRankPair, config: Mapping[str, Any]
) -> LowRank:
    """What a pair adds to its module's weight, the way round in which that is stored."""
    rank = _by_module(config.get("rank_pattern"), module, config.get("r", 8))
    if not pair.rank == pair.second.shape[1] == rank:
        raise ModelError(f"the adapter in {folder} has factors of rank {pair.rank} for {module}, not {rank}")
    if not _is_target(config, module):
        raise ModelError(f"the adapter in {folder} holds {module}, which its target_modules do not name")
    alpha = float(_by_module(config.get("alpha_pattern"), module, config.get("lora_alpha", 8)))
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    second = pair.second * np.float32(scale)
    shape = layout.tensors[f"{module}.weight"].shape
    straight, turned = (second.shape[0], pair.first.shape[1]), (pair.first.shape[1], second.shape[0])
    if shape not in (straight, turned):
        raise ModelError(f"the adapter in {folder} does not fit {module}, whose weight is {list(shape)}")
    is_turned = pair.is_embedding or (
        shape == turned
        if straight != turned
        else layout.is_transposed(f"{module}.weight", bool(config.get("fan_in_fan_out")))
    )
    if is_turned:
        return LowRank(np.ascontiguousarray(pair.first.T), np.ascontiguousarray(second.T))
    return LowRank(second, pair.first)


def _by_module(patterns: object, module: str, otherwise: Any) -> Any:
    """A setting of one module: the first pattern that its name ends in, as PEFT looks for it."""
    for pattern, value in patterns.items() if isinstance(patterns, dict) else ():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return otherwise


def _is_named(names: object, module: str) -> bool:
    """Whether a list of modules names this one, by its whole name or by the end of it."""
    listed = names if isinstance(names, (list, tuple)) else ()
    return any(module == name or module.endswith(f".{name}") for name in listed)


def _is_target(config: Mapping[str, Any], module: str) -> bool:
    targets, excluded = config.get("target_modules"), config.get("exclude_modules")
    if _is_named(excluded, module) or (isinstance(excluded, str) and re.fullmatch(excluded, module)):
        return False
    layers = config.get("layers_to_transform")
    chosen = [layers] if isinstance(layers, int) else layers
    if chosen and not any(part.isdigit() and int(part) in chosen for part in module.split(".")):
        return False
    if isinstance(targets, str):
        return targets == "all-linear" or re.fullmatch(targets, module) is not None
    return _is_named(targets, module)


def _targets(config: Mapping[str, Any], tensors: Mapping[str, Stored]) -> set[str]:
    """The modules with a matrix that the adapter is laid round; none where it does not name them."""
    if config.get("target_modules") == "all-linear":
        return set()
    modules = (name.removesuffix(".weight") for name, one in tensors.items() if len(one.shape) == 2)
    return {module for module in modules if _is_target(config, module)}
