"""A model's folder on disk: its configuration, and every tensor as a range of bytes in a safetensors file.

Only headers are read, by the published format: 8 bytes of length, that much JSON, then the tensors' bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stability.errors import ModelError, first_line
from stability.models.files import INDEX, WEIGHTS, no_safetensors
from stability.world import MODEL as WORLD

LONGEST_HEADER = 100_000_000  # bytes, as the format's own readers allow
BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "I8", "U8", "BOOL"), 1),
}
"""Bytes of an element, by the format's names of dtypes."""


@dataclass(frozen=True)
class Stored:
    """A tensor as it lies in a file: `size` bytes from `offset` on, in row order."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    offset: int
    size: int

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Folder:
    """A model's folder: `config` is its config.json, `tensors` are by the names that the files use."""

    name: str  # for people
    path: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Stored]


def open_folder(name: str | Path) -> Folder:
    """Read a folder's config.json and the headers of its weights; `world` is the built-in model's.

    Raises:
        ModelError: no such folder; a file is missing, cut short or damaged; the weights are a pickle.
    """
    path = WORLD if str(name) == "world" else Path(name).expanduser()
    if not path.is_dir():
        raise ModelError(f"no model at {name}: there is no such folder")
    config = read_json(path / "config.json", "no model in it")
    if not isinstance(config, dict):
        raise ModelError(f"{path / 'config.json'} is not a model's configuration")
    tensors: dict[str, Stored] = {}
    expected = _weight_map(path)
    for file in sorted({path / shard for shard in expected.values()} or {path / WEIGHTS}):
        for tensor in read_header(file):
            if tensor.name in tensors:
                raise ModelError(f"{tensor.name} is both in {tensors[tensor.name].file.name} and {file.name}")
            tensors[tensor.name] = tensor
    lost = sorted(expected.keys() - tensors.keys())
    if lost:
        raise ModelError(f"the model in {path} is incomplete: {expected[lost[0]]} has no {lost[0]}")
    if not tensors:
        raise ModelError(f"the model in {path} has no tensors")
    called = str(name) if path == WORLD else path.resolve().name
    return Folder(called or str(path), path, config, tensors)


def read_json(file: Path, otherwise: str) -> Any:
    """The content of a JSON file.

    Raises:
        ModelError: it is missing, which means `otherwise`, or is not JSON.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{otherwise}: {file} is missing") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {first_line(error)}") from error


def _weight_map(path: Path) -> dict[str, str]:
    """Which shard holds each tensor; empty if there is a single file.

    Raises:
        ModelError: the index is none, or there are no weights in safetensors.
    """
    if (path / INDEX).is_file():
        index = read_json(path / INDEX, "no index")
        shards = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(shards, dict) or not shards:
            raise ModelError(f"{path / INDEX} has no weight_map that says which file holds each tensor")
        for shard in shards.values():
            if not isinstance(shard, str) or Path(shard).name != shard:
                raise ModelError(f"{path / INDEX}: {shard!r} is not the name of a file in the folder")
        return shards
    if (path / WEIGHTS).is_file():
        return {}
    raise no_safetensors(path)


def read_header(file: Path) -> Iterator[Stored]:
    """The tensors of a safetensors file, in the order of its header.

    Raises:
        ModelError: the file is missing, cut short, or not in the format.
    """
    if not file.is_file():
        raise ModelError(f"the model in {file.parent} is incomplete: {file.name} is missing")
    total = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(total - 8, LONGEST_HEADER):
            raise ModelError(f"{file} is truncated or no safetensors file: it ends inside of its header")
        text = stream.read(length)
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise ModelError(f"{file} is damaged or no safetensors file: its header is not JSON")
    for name, entry in header.items():
        if name != "__metadata__":
            yield _stored(file, name, entry, data=8 + length, total=total)


def _stored(file: Path, name: str, entry: Any, data: int, total: int) -> Stored:
    """One entry of a header; `data` is where the tensors' bytes begin."""
    try:
        dtype, shape = str(entry["dtype"]), tuple(map(int, entry["shape"]))
        begin, end = map(int, entry["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise ModelError(f"{file} is damaged: its header does not say where {name} is") from None
    if dtype not in BYTES:
        raise ModelError(f"{file}: {name} is of dtype {dtype}, which is not known; known: {', '.join(BYTES)}")
    tensor = Stored(name, dtype, shape, file, data + begin, end - begin)
    if begin < 0 or min(shape, default=0) < 0 or tensor.elements * BYTES[dtype] != tensor.size:
        raise ModelError(f"{file} is damaged: {name} does not take up the bytes that its shape needs")
    if data + end > total:
        raise ModelError(f"{file} is truncated: {name} ends at byte {data + end} of {total}; copy it again")
    return tensor
