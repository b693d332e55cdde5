"""A point of a run on the disk: what its model differs in from the unedited one, and its editor's state.

One safetensors file, which is whole or not there:

    model:NAME    each tensor that differs from the unedited model's of that name, or that this has not
    state:N       each tensor of the editor's state
    point         in the metadata: `PointHeader`, as JSON
    checksum      in the metadata: SHA-256 over all of that
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from stability.errors import RecordError, first_line
from stability.reading import UnreadableError, parse_json
from stability.record import EditorInfo
from stability.record.schema import RecordModel
from stability.run.saved import state_as_json, state_from_json, write_tensors
from stability.store import tensors_fingerprint

SCHEMA = 1
MODEL, STATE = "model:", "state:"
HEADER, CHECKSUM = "point", "checksum"


class PointHeader(RecordModel):
    """What a point is of, and what its model is to be once it has been put together again."""

    schema_version: Literal[1] = 1
    harness_version: str
    started: str  # the record's: a run that was made another time has other points
    editor: EditorInfo
    seed: int
    edits: int  # that were made
    stream: str  # SHA-256 of all edits of the run, in order
    model_fingerprint: str  # of the unedited model
    sums: dict[str, int]  # of every tensor of the edited model: see `word_sums`
    structure: tuple[str, ...] = ()  # what differs from the unedited model besides tensors
    asking: tuple[str, ...] = ()  # the parameters that ask for gradients
    training: tuple[str, ...] = ()  # the modules in training mode


@dataclass(frozen=True)
class RunPoint:
    """A point as it was read, its tensors on the CPU."""

    header: PointHeader
    tensors: Mapping[str, Tensor]
    state: Mapping[str, Any]


def write_point(path: Path, point: RunPoint) -> None:
    """Write a point, whole or not at all.

    Raises:
        OSError: it cannot be written; nothing is left behind.
        EditorError: the state holds something else than JSON values and tensors.
    """
    held: dict[str, Tensor] = {}
    state = state_as_json(point.state, held)
    tensors = {f"{MODEL}{name}": tensor for name, tensor in point.tensors.items()}
    tensors |= {f"{STATE}{name}": tensor for name, tensor in held.items()}
    header = point.header.model_dump_json()
    metadata = {HEADER: header, STATE: state, CHECKSUM: checksum(header, state, tensors)}
    write_tensors(path, tensors, metadata)


def read_point(path: Path) -> RunPoint:
    """The point in a file.

    Raises:
        RecordError: the file is missing or damaged, or another version's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header, state = metadata[HEADER], metadata[STATE]
        _check_schema(path, header)
        if metadata.get(CHECKSUM) != checksum(header, state, tensors):
            raise RecordError(f"{path}: damaged: its content is not the one that its checksum is of")
        return RunPoint(
            PointHeader.model_validate_json(header),
            _named(MODEL, tensors),
            state_from_json(state, _named(STATE, tensors)),
        )
    except (OSError, SafetensorError, UnreadableError, ValidationError, KeyError, ValueError) as error:
        raise RecordError(f"{path}: no point can be read: {first_line(error)}") from error


def _check_schema(path: Path, header: str) -> None:
    content = parse_json(header)
    schema = content.get("schema_version") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise RecordError(f"{path}: a point of schema {schema!r}; this version reads {SCHEMA}")


def _named(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def checksum(header: str, state: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over all that a point's file holds."""
    content = f"{len(header)} {header}{state}{tensors_fingerprint(tensors.items())}"
    return hashlib.sha256(content.encode()).hexdigest()
