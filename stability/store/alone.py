"""One process at a time: a lock that is a file, gone once nobody holds or waits for it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from stability.files import is_still_there, lock

log = logging.getLogger(__name__)

PAUSE = 0.05  # s between two tries
SILENT = 2.0  # s of waiting before it is said


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """While open, others that ask for the same path wait; the lock of a process ends with that.

    Who has waited for two seconds says so.

    Raises:
        OSError: the file cannot be made.
    """
    file = _locked(path)
    try:
        yield
    finally:
        with suppress(OSError):  # some systems keep a file that is open
            path.unlink()
        file.close()


def _locked(path: Path) -> IO[bytes]:
    said_at = time.monotonic() + SILENT
    while True:
        file = path.open("ab")
        if not _is_held_by_another(file):
            if is_still_there(file, path):
                return file
            file.close()  # who held it has removed it meanwhile, and another may hold a new one
            continue
        file.close()
        if time.monotonic() >= said_at:
            log.warning("waiting for another process, which computes what is needed here: %s", path)
            said_at = float("inf")
        time.sleep(PAUSE)


def _is_held_by_another(file: IO[bytes]) -> bool:
    """Whether it cannot be locked now; if it can, it is."""
    try:
        lock(file)
    except BlockingIOError:
        return True
    except OSError:  # on Windows: held by another, or its file system knows no locks
        if os.name != "nt":
            file.close()
            raise
        return True
    return False
