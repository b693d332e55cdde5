"""The store's entries as files: what they are, when one was last used, and letting go of the oldest."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stability.files import PART

SUFFIX = ".safetensors"
LOCK = ".lock"
LEFT = 86_400.0  # seconds after which a part of a file is nobody's any more
LARGEST_HEADER = 100_000_000  # bytes, as safetensors allows


@dataclass(frozen=True)
class StoreEntry:
    """A file of the store; `used` is when it was last written or read, in seconds since 1970."""

    path: Path
    size: int
    used: float

    @property
    def name(self) -> str:
        """What people call it: the beginning of the digest of its key."""
        return self.path.name[:12]

    def metadata(self) -> dict[str, str]:
        """What its header says besides tensors; empty if it has none that can be read."""
        try:
            with self.path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(length)) if 0 < length <= LARGEST_HEADER else {}
        except (OSError, ValueError, RecursionError):
            return {}
        found = header.get("__metadata__") if isinstance(header, dict) else None
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def describe(self) -> tuple[str, str]:
        """What it is, and of which model, in words; empty where the file does not say it."""
        metadata = self.metadata()
        try:
            key: Any = json.loads(metadata.get("key", "{}"))
        except (ValueError, RecursionError):
            return "", ""
        if not isinstance(key, dict):
            return "", ""
        what = " ".join(str(key[part]) for part in ("what", "of", "layer") if part in key)
        return what, metadata.get("about") or str(key.get("weights", ""))[:12]


def all_entries(folder: Path) -> list[StoreEntry]:
    """All entries of a folder, the one that was used last first."""
    found = []
    for path in _files(folder, SUFFIX):
        with suppress(OSError):  # another process has just removed it
            status = path.stat()
            found.append(StoreEntry(path, status.st_size, status.st_mtime))
    return sorted(found, key=lambda entry: (-entry.used, entry.path))


def prune(
    folder: Path,
    *,
    most: int | None = None,
    older_than: float | None = None,
    larger_than: int | None = None,
    keep: Path | None = None,
) -> list[StoreEntry]:
    """Remove entries, those first that were used longest ago, and say which.

    Removed are those not used for `older_than` seconds, those of more than `larger_than` bytes, and as many
    as it takes until the rest has no more than `most` bytes; never `keep`. What a process has open it can
    still read. Parts of files that a process has left are removed, too.
    """
    now, removed = time.time(), []
    held = all_entries(folder)
    total = sum(entry.size for entry in held)
    for entry in reversed(held):
        past = (
            (older_than is not None and now - entry.used > older_than)
            or (larger_than is not None and entry.size > larger_than)
            or (most is not None and total > most)
        )
        if past and entry.path != keep and remove([entry]):
            total -= entry.size
            removed.append(entry)
    for path in _files(folder, PART):
        with suppress(OSError):
            if now - path.stat().st_mtime > LEFT:
                path.unlink()
    return removed


def remove(chosen: Iterable[StoreEntry]) -> Sequence[StoreEntry]:
    """Remove entries; those that could be."""
    removed = []
    for entry in chosen:
        with suppress(OSError):  # it is gone, or open on a system that keeps such files
            entry.path.unlink()
            removed.append(entry)
    return removed


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    with suppress(OSError):  # there is no folder, or none that can be read
        yield from [path for path in folder.iterdir() if path.name.endswith(suffix) and path.is_file()]
