"""One process at a time writes into a folder: by a lock that the system takes from one that has ended.

It is the open file that is locked. That the file is there says nothing: a process that was killed leaves it
behind, and keeps nobody out. What is in it is for people.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shlex
import socket
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from stability.errors import RecordError, UsageError
from stability.files import is_still_there, lock
from stability.reading import parse_json, read_text

LOCK_FILE = ".stability.lock"
ROOM = 64 * 2**10  # bytes that a folder has to have room for before anything is measured
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
HAS_NO_LOCKS = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK)
LONGEST_COMMAND = 200  # characters

LOG = logging.getLogger(__name__)


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """While open, no other process writes into the folder, which is created and tried.

    Raises:
        UsageError: another process writes into it, or no file can be made there.
        RecordError: there is no room.
    """
    place = folder.absolute()  # wherever an editor changes to
    try:
        created = [one for one in (place, *place.parents) if not one.exists()]
        place.mkdir(parents=True, exist_ok=True)
        stream = _locked(place / LOCK_FILE, folder)
        _close_in_children(stream)
    except OSError as error:
        raise _refusal(folder, error) from error
    try:
        try:
            _try_out(stream)
        except OSError as error:
            raise _refusal(folder, error) from error
        yield
    finally:
        _release(stream, place / LOCK_FILE)
        for one in created:
            with suppress(OSError):  # it is not empty
                one.rmdir()


def _locked(path: Path, folder: Path) -> IO[bytes]:
    """The file, open and locked; not one that its holder has removed meanwhile. The folder is for people."""
    while True:
        stream = path.open("a+b", buffering=0)
        try:
            lock(stream)
        except OSError as error:
            if error.errno not in HAS_NO_LOCKS:
                stream.close()
                said = f"{folder}: {_holder(path)}; wait for it, or use another folder"
                raise UsageError(said) from None
            LOG.warning("%s: the file system has no locks; see that nobody else writes there", folder)
        if is_still_there(stream, path):
            return stream
        stream.close()


def _try_out(stream: IO[bytes]) -> None:
    """See that there is room, and say who has the lock."""
    stream.truncate(0)
    if stream.write(bytes(ROOM)) < ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(stream.fileno())
    stream.truncate(0)
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])[:LONGEST_COMMAND]
    stream.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "command": command}).encode())


def _holder(path: Path) -> str:
    """Who writes there, in words; whatever is in the file was written by anybody."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        found = parse_json(read_text(path))
        where = "" if found["host"] == socket.gethostname() else f" on {found['host']}"
        return f"process {int(found['pid'])}{where} writes into it ({found['command']})"
    return "another process writes into it"


def _refusal(folder: Path, error: OSError) -> RecordError | UsageError:
    reason = error.strerror or type(error).__name__
    if error.errno in FULL:
        return RecordError(f"{folder}: cannot be written to: {reason}; make room, or use another folder")
    return UsageError(f"{folder}: cannot be written to: {reason}; use another folder")


def _close_in_children(stream: IO[bytes]) -> None:
    """See that no forked process keeps the lock, such as one that an editor leaves behind."""
    if not hasattr(os, "register_at_fork"):
        return
    known = weakref.ref(stream)

    def close() -> None:
        if (inherited := known()) is not None:
            inherited.close()

    os.register_at_fork(after_in_child=close)


def _release(stream: IO[bytes], path: Path) -> None:
    """Remove the file while it is still locked, and then let go; in a forked process, do neither."""
    if stream.closed:
        return
    with suppress(OSError):  # as on Windows, or where somebody has removed the folder
        path.unlink()
    stream.close()
