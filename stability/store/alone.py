"""One process at a time: a lock that is a file, gone once nobody holds or waits for it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from stability.files import is_still_there, lock

PAUSE = 0.05  # s between two tries


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """While open, others that ask for the same path wait; the lock of a process ends with that.

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
    while True:
        file = path.open("ab")
        try:
            lock(file)
        except BlockingIOError:
            file.close()
            time.sleep(PAUSE)
            continue
        except OSError:  # on Windows: held by another, or its file system knows no locks
            file.close()
            if os.name != "nt":
                raise
            time.sleep(PAUSE)
            continue
        if is_still_there(file, path):
            return file
        file.close()  # who held it has removed it meanwhile, and another may hold a new one
