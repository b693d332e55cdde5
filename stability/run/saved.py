"""Tensors and editors' states in safetensors files, written whole and on the disk, or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save_file
from torch import Tensor

from stability.errors import EditorError, RecordError
from stability.files import written_whole
from stability.store import tensors_fingerprint

TENSOR = "__tensor__"  # replaces a tensor in a state's JSON
STATE = "state"  # the JSON's place in the file's metadata


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> str:
    """Write tensors under a name that appears when all of them are on the disk; the file's SHA-256.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    held = _apart({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()})
    with written_whole(path) as part:
        try:
            save_file(held, part, metadata=dict(metadata or {}))
        except SafetensorError as error:
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]) if number else errno.EIO, str(error)) from error
        with part.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, those copied that share their memory with one before: safetensors does not take them."""
    seen: set[int] = set()
    found = {}
    for name, tensor in tensors.items():
        place = tensor.untyped_storage().data_ptr()
        found[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return found


def read_tensors(path: Path, digest: str) -> dict[str, Tensor]:
    """The tensors of a file, on the CPU.

    Raises:
        RecordError: it is missing, or is not the one that was written.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RecordError(f"{path}: cannot be read: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise RecordError(f"{path}: damaged, its checksum is not the one that was noted when it was written")
    return load(content)


def copy_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state that later edits cannot reach into.

    Raises:
        EditorError: it holds something else than JSON values and tensors.
    """
    tensors: dict[str, Tensor] = {}
    text = state_as_json(state, tensors)
    return state_from_json(text, {name: tensor.detach().clone() for name, tensor in tensors.items()})


def state_digest(state: Mapping[str, Any]) -> str:
    """SHA-256 of a state's content, hexadecimal; `EditorError` as for `copy_state`."""
    tensors: dict[str, Tensor] = {}
    text = state_as_json(state, tensors)
    return hashlib.sha256(f"{text} {tensors_fingerprint(tensors.items())}".encode()).hexdigest()


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write an editor's state; raises `OSError` as `write_tensors`, `EditorError` as `copy_state`."""
    tensors: dict[str, Tensor] = {}
    text = state_as_json(state, tensors)
    write_tensors(
        path, {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, {STATE: text}
    )


def read_state(path: Path) -> dict[str, Any]:
    """The state that was written, tensors on the CPU.

    Raises:
        RecordError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})[STATE]
            return state_from_json(text, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise RecordError(f"{path}: cannot read the editor's state: {error}") from error


def state_as_json(state: Mapping[str, Any], tensors: dict[str, Tensor]) -> str:
    """The state as JSON, with the number of a tensor in place of each; they are added to `tensors`.

    Raises:
        EditorError: it holds something else than JSON values and tensors.
    """

    def plain(value: Any, path: str) -> Any:
        if isinstance(value, Tensor):
            tensors[str(len(tensors))] = value
            return {TENSOR: str(len(tensors) - 1)}
        if isinstance(value, Mapping):
            strange = next((key for key in value if not isinstance(key, str)), None)
            if strange is not None:
                raise EditorError(f"{path} has the key {strange!r}; keys should be texts, as JSON's are")
            return {key: plain(part, f"{path}[{key!r}]") for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(part, f"{path}[{index}]") for index, part in enumerate(value)]
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise EditorError(f"{path} is a {type(value).__name__}; a state is made of JSON values and tensors")

    return json.dumps(plain(state, "state()"))


def state_from_json(text: str, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """The state of such a text; `KeyError` or `ValueError` if it is none."""

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() == {TENSOR}:
                return tensors[value[TENSOR]]
            return {key: filled(part) for key, part in value.items()}
        return [filled(part) for part in value] if isinstance(value, list) else value

    found: dict[str, Any] = filled(json.loads(text))
    return found
