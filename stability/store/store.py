"""Tensors on disk, keyed by everything that they depend on: covariances, the unedited model's figures."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from stability.files import write_whole
from stability.store.alone import alone
from stability.store.digest import tensors_fingerprint
from stability.store.entries import LOCK, SUFFIX, prune
from stability.store.places import BOUND, FOLDER, bound, default_folder, in_words

log = logging.getLogger(__name__)


class Store:
    """Tensors, keyed by their inputs. Any number of processes may use the same folder.

    A key is a dict of JSON values with everything that the tensors depend on. An entry is a safetensors file
    named by the SHA-256 of its key. It contains the key and a checksum; an entry that does not match them
    counts as missing. Where the folder cannot be written to, nothing is kept, and the log says so once. Past
    `most` bytes the entries go that were used longest ago.

    Raises:
        UsageError: STABILITY_CACHE_SIZE is no size.
    """

    def __init__(self, folder: str | Path | None = None, most: int | None = None) -> None:
        self.folder = (default_folder() if folder is None else Path(folder)).absolute()
        self.most = bound() if most is None else most
        self._refused = False

    def path(self, key: Mapping[str, Any]) -> Path:
        """The file of this key's entry, if there is one."""
        return self.folder / f"{hashlib.sha256(_text(key).encode()).hexdigest()}{SUFFIX}"

    @contextmanager
    def alone(self, key: Mapping[str, Any]) -> Iterator[None]:
        """While open, other processes that ask for the same key wait, so that it is computed only once.

        Where the folder cannot be written to, nobody waits.
        """
        lock = alone(self.path(key).with_suffix(LOCK))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.__enter__()
        except OSError as error:
            self._refuse(error)
            yield
            return
        try:
            yield
        finally:
            lock.__exit__(None, None, None)

    def load(self, key: Mapping[str, Any]) -> dict[str, Tensor] | None:
        """The entry of this key, mapped into memory; None if it is missing or damaged."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            metadata, tensors = read_entry(path)
        except (SafetensorError, OSError, ValueError) as error:
            log.warning("%s cannot be read (%s) and is computed anew", path, error)
            return None
        if metadata.get("key") != _text(key) or not is_whole(metadata, tensors):
            log.warning("%s is damaged and is computed anew", path)
            return None
        with suppress(OSError):  # as in a folder that can only be read
            path.touch()
        return tensors

    def save(self, key: Mapping[str, Any], tensors: Mapping[str, Tensor], about: str = "") -> None:
        """Write the entry of this key atomically; `about` says to people of which model it is."""
        held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        size = sum(tensor.nbytes for tensor in held.values())
        if size > self.most:
            log.warning(
                "%s is not kept: it has %s, and the cache may have %s (%s)",
                key.get("what", "an entry"), in_words(size), in_words(self.most), BOUND,
            )  # fmt: skip
            return
        metadata = {"key": _text(key), "checksum": tensors_fingerprint(held.items()), "about": about}
        path = self.path(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, save(held, metadata=metadata))
        except OSError as error:
            self._refuse(error)
            return
        prune(self.folder, most=self.most, keep=path)

    def _refuse(self, error: OSError) -> None:
        """Say, once, that nothing is kept."""
        if not self._refused:
            log.warning(
                "cannot write to the cache %s: %s; nothing is kept. Set %s to a folder that can be written",
                self.folder, error.strerror, FOLDER,
            )  # fmt: skip
        self._refused = True


def read_entry(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """An entry's metadata and tensors, mapped into memory.

    Raises:
        SafetensorError, OSError, ValueError: it is no whole safetensors file, or cannot be read.
    """
    with safe_open(path, framework="pt") as file:
        return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def is_entry(path: Path) -> bool:
    """Whether a file is an entry as it was written, under the name of its key."""
    try:
        metadata, tensors = read_entry(path)
    except (SafetensorError, OSError, ValueError):
        return False
    named = hashlib.sha256(metadata.get("key", "").encode()).hexdigest()
    return path.stem == named and is_whole(metadata, tensors)


def is_whole(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> bool:
    """Whether an entry's tensors are those that were written."""
    return metadata.get("checksum") == tensors_fingerprint(tensors.items())


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps(dict(key), sort_keys=True)
