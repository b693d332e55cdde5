"""The reader of points, from which a run goes on: of a file with any checksum, and with the one that fits."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from stability.editors import find_editor
from stability.errors import RecordError
from stability.run.points.point import CHECKSUM, HEADER, STATE, checksum, read_point, write_point
from stability.run.points.restoring import Unedited, restored, taken
from stability.run.saved import write_tensors
from stability.testing.tiny import tiny_model
from tools.fuzz.reader import Reader

NAMES = ("transformer.h.1.mlp.c_proj.weight", "transformer.h.2.mlp.c_proj.bias")
FIELDS = {
    "harness_version": "1",
    "started": "2026-01-01T00:00:00+00:00",
    "seed": 0,
    "edits": 2,
    "stream": "a" * 64,
    "model_fingerprint": "b" * 64,
}


@dataclass(frozen=True)
class Material:
    """A small model, and what is known of it before it is edited."""

    model: nn.Module
    unedited: Unedited


@cache
def _material() -> Material:
    model = tiny_model("gpt2").model
    return Material(model, Unedited.of(model))


@cache
def _point() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder, "000002.safetensors")
        material, editor = _material(), find_editor("none")
        for name in NAMES:
            material.model.get_parameter(name).data.add_(1.0)
        point = taken(material.unedited, material.model, editor, {**FIELDS, "editor": editor.info})
        write_point(path, replace(point, state={"made": 2, "keys": [torch.eye(2)], "deep": {"a": [1]}}))
        material.unedited.snapshot.restore(material.model)
        return path.read_bytes()


def _headers() -> list[bytes]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "000002.safetensors")
        path.write_bytes(_point())
        return [read_point(path).header.model_dump_json().encode()]


def _with_header(path: Path) -> None:
    """The point with the file's content as its header."""
    point = path.with_name("000002.safetensors")
    point.write_bytes(_point())
    _sign(point, path.read_text(encoding="utf-8", errors="replace"))
    _go_on(point)


def _go_on(path: Path) -> None:
    """The file is refused as it is, if anything in it was changed; then it is signed, to get past that."""
    with suppress(RecordError):
        read_point(path)
    _sign(path)
    point = read_point(path)
    material = _material()
    try:
        restored(material.unedited, material.model, None, point)
    finally:
        for name in (name for name, _ in material.model.named_parameters() if name in point.tensors):
            tensor = material.unedited.snapshot.tensor(name)
            material.model.get_parameter(name).data = tensor.clone()


def _sign(path: Path, header: str | None = None) -> None:
    """Give a file the checksum of its content, if it can be read so far, and this header if there is one."""
    with suppress(OSError, SafetensorError, KeyError, ValueError):
        with safe_open(path, framework="pt") as file:
            metadata: Mapping[str, str] = file.metadata() or {}
            tensors: dict[str, Tensor] = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        header, state = metadata[HEADER] if header is None else header, metadata[STATE]
        signed = checksum(header, state, tensors)
        write_tensors(path, tensors, {HEADER: header, STATE: state, CHECKSUM: signed})


READERS = (
    Reader("point of a run", "000002.safetensors", "safetensors", lambda: [_point()], _go_on),
    Reader("header of a point", "header.json", "json", _headers, _with_header, 10),
)
