"""Readers of the files of a model's folder: as `gate` reads them, and as a model is loaded."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers.utils import logging

from stability.gate.on_disk import compare_on_disk
from stability.models import load_model
from stability.run.listener import Silent
from stability.suite import ModelSpec
from stability.testing.tiny import tiny_model
from tools.fuzz.reader import Reader

MODULE = "model.layers.0.mlp.down_proj"
SHARD = "part.safetensors"
PRISTINE = "pristine"
ADAPTER = {
    "peft_type": "LORA",
    "base_model_name_or_path": "base",
    "r": 2,
    "lora_alpha": 4,
    "bias": "none",
    "target_modules": ["0.mlp.down_proj"],
    "exclude_modules": None,
    "use_rslora": False,
    "rank_pattern": {"down_proj": 2},
    "alpha_pattern": {},
    "fan_in_fan_out": False,
    "layers_to_transform": None,
    "modules_to_save": None,
}


@cache
def model_files() -> dict[str, bytes]:
    """The files of a tiny model's folder."""
    logging.disable_progress_bar()
    loaded = tiny_model("llama")
    with tempfile.TemporaryDirectory() as folder:
        loaded.model.save_pretrained(folder)
        loaded.tokenizer.save_pretrained(folder)
        return {file.name: file.read_bytes() for file in Path(folder).iterdir()}


def gated(path: Path) -> None:
    """What `gate` does with two folders."""
    compare_on_disk(str(path.parent.parent / PRISTINE), str(path.parent), Silent())


def loaded(path: Path) -> None:
    """Load the model with its tokenizer."""
    load_model(ModelSpec(name=str(path.parent)))


def _beside(folder: Path) -> None:
    for place in (folder.parent / PRISTINE, folder):
        place.mkdir(exist_ok=True)
        for name, content in model_files().items():
            (place / name).write_bytes(content)


def _beside_index(folder: Path) -> None:
    _beside(folder)
    (folder / "model.safetensors").rename(folder / SHARD)


def _beside_adapter(folder: Path) -> None:
    _beside(folder)
    prefix = f"base_model.model.{MODULE}.lora_"
    factors = {f"{prefix}A.weight": torch.ones(2, 64), f"{prefix}B.weight": torch.ones(32, 2)}
    save_file(factors, folder / "adapter_model.safetensors")


def _index() -> list[bytes]:
    names = [name for name, _ in tiny_model("llama").model.named_parameters()]
    return [json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, SHARD)}).encode()]


def _readers(way: str, read: Callable[[Path], object], cost: float) -> tuple[Reader, ...]:
    found = [
        Reader(
            f"{name}, {way}",
            name,
            "safetensors" if name.endswith(".safetensors") else "json",
            lambda name=name: [model_files()[name]],
            read,
            cost,
            _beside,
        )
        for name in (
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "model.safetensors",
        )
    ]
    index = "model.safetensors.index.json"
    found.append(Reader(f"{index}, {way}", index, "json", _index, read, cost, _beside_index))
    adapter = "adapter_config.json"
    adapters = [json.dumps(ADAPTER).encode()]
    found.append(Reader(f"{adapter}, {way}", adapter, "json", lambda: adapters, read, cost, _beside_adapter))
    return tuple(found)


READERS = (*_readers("gated", gated, 15), *_readers("loaded", loaded, 40))
