"""A model's folder on disk: its configuration, and every tensor as a range of bytes in a safetensors file.

Only headers are read, by the published format: 8 bytes of length, that much JSON, then the tensors' bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stability.errors import ModelError
from stability.models.files import (
    CONFIG,
    adapter_base,
    has_tokenizer,
    is_adapter,
    model_folder,
    read_json,
    refuse_more_blocks,
    weight_files,
)
from stability.reading import UnreadableError, parse_json
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
class LowRank:
    """What an adapter adds to a matrix, `left @ right`, in the orientation in which the matrix is stored."""

    left: NDArray[np.float32]  # [rows, r]
    right: NDArray[np.float32]  # [r, columns]

    def elements(self, start: int, stop: int) -> NDArray[np.float32]:
        """Elements `start` to `stop` of the product, in row order."""
        columns = self.right.shape[1]
        first, last = start // columns, -(-stop // columns)
        rows = self.left[first:last] @ self.right
        return rows.reshape(-1)[start - first * columns : stop - first * columns]


@dataclass(frozen=True)
class Stored:
    """A tensor in a file, `size` bytes from `offset` on, in row order; and the change that is added to it."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    offset: int
    size: int
    added: LowRank | None = None

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Folder:
    """A model's folder: `config` is its config.json, `tensors` are by the names that the files use.

    An adapter's folder has the configuration and the tensors of the model under it, whose own folder is
    `path`. `adapter` is the folder whose adapter is laid over them; `unread` names files of weights that lie
    in the folder and that transformers does not read.
    """

    name: str  # for people
    path: Path  # of config.json and generation_config.json
    tokenizer: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Stored]
    adapter: Path | None = None
    unread: tuple[str, ...] = ()

    @property
    def is_adapter_alone(self) -> bool:
        """Whether the folder holds an adapter and no model."""
        return self.adapter is not None and self.adapter != self.path

    @property
    def source(self) -> Path:
        """The folder that the model is loaded from."""
        return self.adapter or self.path


def open_folder(name: str | Path, base: Folder | None = None) -> Folder:
    """Read a folder's config.json and the headers of its weights; `world` is the built-in model's.

    A folder with an adapter alone is laid over the model that it names or, if that is no folder here, over
    the base.

    Raises:
        ModelError: no such folder; a file is missing, cut short or damaged; the weights are a pickle.
    """
    path = model_folder(str(name))
    if path is None:
        raise ModelError(f"no model at {name}: there is no such folder")
    called = str(name) if path == WORLD else path.resolve().name or str(path)
    if is_adapter(path):
        under = _under(path, base)
        if under.adapter is not None:
            raise ModelError(f"the model under the adapter in {path} has an adapter itself; merge that first")
        tokenizer = path if has_tokenizer(path) else under.tokenizer
        return replace(under, name=called, adapter=path, tokenizer=tokenizer)
    found = weight_files(path)
    tensors: dict[str, Stored] = {}
    for file in found.files:
        for tensor in read_header(file):
            if tensor.name in tensors:
                raise ModelError(f"{tensor.name} is both in {tensors[tensor.name].file.name} and {file.name}")
            tensors[tensor.name] = tensor
    lost = sorted(found.promised.keys() - tensors.keys())
    if lost:
        raise ModelError(f"the model in {path} is incomplete: {found.promised[lost[0]]} has no {lost[0]}")
    if not tensors:
        raise ModelError(f"the model in {path} has no tensors")
    config = read_json(path / CONFIG, "no model in it")
    refuse_more_blocks(path / CONFIG, config, len(tensors))
    return Folder(
        name=called,
        path=path,
        tokenizer=path,
        config=config,
        tensors=tensors,
        adapter=None if found.adapter is None else path,
        unread=found.unread,
    )


def _under(adapter: Path, base: Folder | None) -> Folder:
    """The model that an adapter's folder is laid over."""
    name = adapter_base(adapter)
    if name == "world" or Path(name).expanduser().is_dir():
        return open_folder(name)
    if base is None:
        raise ModelError(f"{adapter} holds an adapter of {name}, and there is no such folder; merge it first")
    return base


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
        header = parse_json(text)
    except UnreadableError:
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
    except (KeyError, TypeError, ValueError, OverflowError):
        raise ModelError(f"{file} is damaged: its header does not say where {name} is") from None
    if dtype not in BYTES:
        raise ModelError(f"{file}: {name} is of dtype {dtype}, which is not known; known: {', '.join(BYTES)}")
    tensor = Stored(name, dtype, shape, file, data + begin, end - begin)
    if begin < 0 or min(shape, default=0) < 0 or tensor.elements * BYTES[dtype] != tensor.size:
        raise ModelError(f"{file} is damaged: {name} does not take up the bytes that its shape needs")
    if data + end > total:
        raise ModelError(f"{file} is truncated: {name} ends at byte {data + end} of {total}; copy it again")
    return tensor
