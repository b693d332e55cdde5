"""One run a session: whatever the order of its items, and however many workers of pytest-xdist share them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, TypeVar

import pytest

T = TypeVar("T")


class Once:
    """What was made in this process, by what it was made for; an error stays one."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returned or raised when the key was first asked for."""
        if key not in self._kept:
            try:
                self._kept[key] = make()
            except Exception as error:  # of whatever kind, making it again would be a second run
                self._kept[key] = error
        found = self._kept[key]
        if isinstance(found, Exception):
            raise found
        made: T = found
        return made


ONCE = pytest.StashKey[Once]()


def in_one_worker(
    config: pytest.Config, key: str, make: Callable[[Path | None], T], read: Callable[[Path], T]
) -> T:
    """`make(folder)` in the first worker that asks for a key; the others wait for it, then `read(folder)`.

    The folder is one of this session that all workers of this machine see, None where there are none. What
    `make` raises of ours is raised in the others.

    Raises:
        StabilityError: by the worker that came first.
    """
    from filelock import FileLock

    from stability.errors import StabilityError

    session = _shared_folder(config)
    if session is None:
        return make(None)
    folder = session / f"stability-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    folder.mkdir(exist_ok=True)
    done = folder / "done.json"  # with the error, or null
    with FileLock(folder / "lock"):
        if done.exists():
            problem = json.loads(done.read_text(encoding="utf-8"))
            if problem is not None:
                raise StabilityError(problem)
            return read(folder)
        try:
            made = make(folder)
        except StabilityError as error:
            done.write_text(json.dumps(str(error)), encoding="utf-8")
            raise
        done.write_text("null", encoding="utf-8")
        return made


def _shared_folder(config: pytest.Config) -> Path | None:
    """The folder of temporary files in which xdist gives each of this session's workers one of its own."""
    own = config.getoption("basetemp", None) if hasattr(config, "workerinput") else None
    if own is None:
        return None
    shared = Path(own).parent
    shared.mkdir(parents=True, exist_ok=True)
    return shared
