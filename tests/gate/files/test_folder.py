"""Headers of safetensors files, against the format's own reader; and folders that are no models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from stability.errors import ModelError
from stability.gate.files.folder import open_folder
from stability.world import MODEL
from tests.gate.conftest import llama


def test_every_tensor_lies_where_the_formats_own_reader_finds_it(save):
    tensors = {
        **llama(),
        "counts": torch.arange(7),
        "flag": torch.tensor([True, False]),
        "none": torch.empty(0, 3),
    }
    folder = open_folder(save("sharded", tensors, shards=4))
    assert set(folder.tensors) == set(tensors)
    assert len({stored.file for stored in folder.tensors.values()}) == 4
    for name, stored in folder.tensors.items():
        with safe_open(stored.file, framework="pt") as file:
            tensor = file.get_tensor(name)
        assert stored.shape == tuple(tensor.shape)
        held = np.fromfile(stored.file, np.uint8, stored.size, offset=stored.offset)
        assert held.tobytes() == tensor.contiguous().view(torch.uint8).numpy().tobytes(), name


def test_world_is_the_built_in_model():
    folder = open_folder("world")
    assert (folder.name, folder.path) == ("world", MODEL)
    assert "transformer.wte.weight" in folder.tensors


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])


def cut_in_its_header(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:50])


def emptied(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def without_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def without_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def with_a_broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def of_another_format(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((20).to_bytes(8, "little") + b"x" * 40)


def with_header(**changes: object):  # type: ignore[no-untyped-def]
    def damage(folder: Path) -> None:
        file = folder / "model.safetensors"
        raw = file.read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        header["lm_head.weight"] |= changes
        text = json.dumps(header).encode()
        file.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "truncated"),
        (cut_in_its_header, "truncated"),
        (emptied, "truncated"),
        (pickled, "pickle"),
        (without_weights, "no weights"),
        (without_config, "config.json is missing"),
        (with_a_broken_config, "cannot be read as JSON"),
        (of_another_format, "damaged"),
        (with_header(dtype="Q4"), "dtype Q4"),
        (with_header(shape=[31, 12]), "does not take up"),
        (with_header(shape=[-30, -12]), "that its shape needs"),
        (with_header(data_offsets=[-5, 715]), "the bytes that"),
        (with_header(data_offsets="none"), "does not say where"),
        (with_header(shape=[float("inf"), 12]), "say where lm_head"),
        (with_header(shape=[10**400]), "not take up the"),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_a_damaged_folder_is_one_clear_line(save, damage, message):
    folder = save("broken", llama())
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        open_folder(folder)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_status == 3


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"metadata": {}, "weight_map": {"a": "gone.safetensors"}}, "gone.safetensors is missing"),
        ({"metadata": {}, "weight_map": {"absent": "model-00000.safetensors"}}, "has no absent"),
        ({"metadata": {}, "weight_map": {"a": "../model.safetensors"}}, "not the name of a file"),
        ({"metadata": {}, "weight_map": {"a": 3}}, "not the name of a file"),
        ({"metadata": {}, "weight_map": {}}, "no weight_map"),
        ([], "no weight_map"),
        ({"weight_map": {"a": "model-00000.safetensors"}}, "no metadata, without which transformers"),
    ],
)
def test_an_index_that_does_not_fit_is_one_clear_line(save, index, message):
    folder = save("sharded", llama(), shards=2)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=message):
        open_folder(folder)
