"""Checkpoints on disk: tiny ones made of random tensors, and copies of the built-in model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from stability.world import MODEL

Save = Callable[..., Path]
PATHS = {
    "self_attn.q_proj": (12, 12),
    "self_attn.k_proj": (6, 12),
    "self_attn.v_proj": (6, 12),
    "self_attn.o_proj": (12, 12),
    "mlp.gate_proj": (20, 12),
    "mlp.up_proj": (20, 12),
    "mlp.down_proj": (12, 20),
}


def down(layer: int) -> str:
    return f"model.layers.{layer}.mlp.down_proj.weight"


def llama(dtype: torch.dtype = torch.bfloat16, layers: int = 3) -> dict[str, Tensor]:
    """The tensors of a tiny Llama."""
    generator = torch.Generator().manual_seed(1)
    shapes = {
        f"model.layers.{i}.{path}.weight": shape for i in range(layers) for path, shape in PATHS.items()
    }
    shapes |= {"model.embed_tokens.weight": (30, 12), "model.norm.weight": (12,), "lm_head.weight": (30, 12)}
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()}


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write tensors as a folder, in one file or in as many as asked, and say where."""

    def write(
        name: str,
        tensors: Mapping[str, Tensor],
        shards: int = 1,
        config: Mapping[str, Any] | None = None,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        content = {
            "model_type": "llama",
            "tie_word_embeddings": False,
            "num_hidden_layers": 3,
            **(config or {}),
        }
        (folder / "config.json").write_text(json.dumps(content))
        names: Sequence[str] = list(tensors)
        if shards == 1:
            save_file(dict(tensors), folder / "model.safetensors")
            return folder
        files = {one: f"model-{index % shards:05}.safetensors" for index, one in enumerate(names)}
        for file in set(files.values()):
            save_file({one: tensors[one] for one in names if files[one] == file}, folder / file)
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {}, "weight_map": files})
        )
        return folder

    return write


@pytest.fixture
def copy_of_world(tmp_path: Path) -> Callable[..., Path]:
    """A copy of the built-in model, its tensors changed by a function."""

    def write(name: str, change: Callable[[dict[str, Tensor]], None] | None = None) -> Path:
        folder = tmp_path / name
        shutil.copytree(MODEL, folder)
        if change is not None:
            tensors = load_file(folder / "model.safetensors")
            change(tensors)
            save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return write
