"""What W&B wrote offline, read back: a log of records (LevelDB's format) that hold its own protocol's messages."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BLOCK, HEADER, MAGIC = 32768, 7, b":W&B"
LAST_PARTS = (1, 4)  # a record that is whole, and the last part of one


@dataclass
class OfflineRun:
    """A run as a server would be told of it."""

    name: str = ""
    project: str = ""
    group: str = ""
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)  # of artifacts: bytes by name
    kinds: set[str] = field(default_factory=set)  # of records
    exit_code: int | None = None


def read_offline(folder: Path) -> OfflineRun:
    """The only run that W&B wrote in a folder."""
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    return read_file(file)


def read_file(file: Path) -> OfflineRun:
    """The run that W&B wrote into a file."""
    run = OfflineRun()
    for record in records(file.read_bytes()):
        kind = record.WhichOneof("record_type")
        run.kinds.add(kind)
        found = getattr(record, kind)
        if kind == "run":
            run.name, run.project, run.group = found.display_name, found.project, found.run_group
            run.tags, run.config = tuple(found.tags), values(found.config.update)
        elif kind == "history":
            run.history.append(values(found.item))
        elif kind == "summary":
            run.summary |= values(found.update)
        elif kind == "artifact":
            run.files |= {entry.path: entry.size for entry in found.manifest.contents}
        elif kind == "exit":
            run.exit_code = found.exit_code
    return run


def values(items: Any) -> dict[str, Any]:
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


def records(content: bytes) -> Iterator[Any]:
    from wandb.proto import wandb_internal_pb2

    assert content.startswith(MAGIC)
    place, parts = HEADER, b""
    while place + HEADER <= len(content):
        left = BLOCK - place % BLOCK
        if left < HEADER:
            place += left
            continue
        _, length, part = struct.unpack_from("<IHB", content, place)
        parts += content[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if part in LAST_PARTS:
            yield wandb_internal_pb2.Record.FromString(parts)
            parts = b""
