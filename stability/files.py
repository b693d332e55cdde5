"""Files of a run: what they are called, and writing them so that a reader never sees half of one."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

RECORD_FILE = "run.json"
HORIZON_FILE = "horizon.json"
BEFORE = ".before"  # in the name of a file that a later run keeps aside: run.before.json
FIGURES_FOLDER = "figures"
POINTS_FOLDER = "points"  # from which an unfinished run goes on
PART = ".part"  # ends the name of a file that is being written


def write_whole(path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
    """Write bytes, or a text as UTF-8, to `path`: all of it is on the disk before it has that name.

    `mode` is the permissions that it gets.

    Raises:
        OSError: it cannot be written; nothing is left behind, and an existing file is unchanged.
    """
    with written_whole(path, mode=mode) as part:
        part.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def written_whole(path: Path, *, mode: int = 0o600) -> Iterator[Path]:
    """A file to write into, which gets the name `path` once all is on the disk; if anything is raised, none.

    Raises:
        OSError: as `write_whole`.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=PART)
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
        with part.open("r+b") as stream:
            os.fsync(stream.fileno())
        part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def append(path: Path, content: bytes) -> None:
    """Write bytes at the end of a file, which may be a pipe.

    Raises:
        OSError: not all of them can be written; then none are, unless they are in a pipe.
    """
    with path.open("ab", buffering=0) as stream:
        end = os.fstat(stream.fileno()).st_size
        try:
            if stream.write(content) < len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            if stream.seekable():
                stream.truncate(end)
            raise


def sync_folder(folder: Path) -> None:
    """Put a folder's list of files on the disk; Windows, where a folder cannot be opened, does so itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def lock(stream: IO[bytes]) -> None:
    """Keep a file to this process until it is closed.

    Raises:
        OSError: another process has it, or the file system has no locks.
    """
    if sys.platform == "win32":
        import msvcrt

        stream.seek(2**30)  # a byte behind the content, for others may read that
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_still_there(stream: IO[bytes], path: Path) -> bool:
    """Whether an open file is the one that has the name now; who held it may have removed it meanwhile."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def kept_aside(path: Path) -> Path:
    """Where a file lies after a later run has begun in its folder: `run.before.json`."""
    return path.with_name(f"{path.stem}{BEFORE}{path.suffix}")


def record_path(run: Path) -> Path:
    """The record that a path names: the file itself, or the one in a run's folder."""
    return run / RECORD_FILE if run.is_dir() else run
