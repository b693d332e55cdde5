"""A cache on disk for values that are slow to compute, such as covariances, keyed by their inputs."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from stability.errors import EditorError
from stability.files import write_whole
from stability.models import tensors_fingerprint

log = logging.getLogger(__name__)


def default_folder() -> Path:
    """STABILITY_CACHE if it is set, else ~/.cache/stability."""
    return Path(os.environ.get("STABILITY_CACHE") or "~/.cache/stability").expanduser()


class Store:
    """Tensors, keyed by their inputs. Two processes may use the same folder.

    A key is a dict of JSON values with everything that the tensors depend on. An entry is a safetensors file
    named by the SHA-256 of its key. It contains the key and a checksum; an entry that does not match them
    counts as missing.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = default_folder() if folder is None else Path(folder)

    def path(self, key: Mapping[str, Any]) -> Path:
        """The file of this key's entry, if there is one."""
        return self.folder / f"{hashlib.sha256(_text(key).encode()).hexdigest()}.safetensors"

    @contextmanager
    def alone(self, key: Mapping[str, Any]) -> Iterator[None]:
        """While open, other processes that ask for the same key wait, so that it is computed only once.

        Raises:
            EditorError: the folder cannot be written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.path(key).with_suffix(".lock"))
            lock.acquire()
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

    def load(self, key: Mapping[str, Any]) -> dict[str, Tensor] | None:
        """The entry of this key; None if it is missing or damaged."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            log.warning("%s cannot be read (%s) and is computed anew", path, error)
            return None
        if metadata.get("key") != _text(key) or metadata.get("checksum") != tensors_fingerprint(
            tensors.items()
        ):
            log.warning("%s is damaged and is computed anew", path)
            return None
        return tensors

    def save(self, key: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Write the entry of this key atomically.

        Raises:
            EditorError: the folder cannot be written to.
        """
        held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        content = save(held, metadata={"key": _text(key), "checksum": tensors_fingerprint(held.items())})
        path = self.path(key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> EditorError:
        return EditorError(
            f"cannot write to the cache {self.folder}: {error.strerror}; "
            "set STABILITY_CACHE to a folder that can be written"
        )


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps(dict(key), sort_keys=True)
