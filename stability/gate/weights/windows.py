"""Reading tensors a window at a time, so that memory stays bounded whatever their size.

What the page cache holds is mapped, which costs no copy; anything else is read into a buffer, because
faulting pages in one by one is slower than the disk. Windows are worked on by a few threads: comparing,
reading and numpy's arithmetic all release the interpreter.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import queue
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from stability.errors import ModelError
from stability.gate.files.folder import BYTES, Stored

WINDOW = 2**24  # bytes
BLOCK = 2**19  # elements
SMALLEST_MAP = 2**22  # bytes; below it a copy, which stays in the cache, is cheaper than a mapping
MOST_THREADS = 4
POPULATE = getattr(mmap, "MAP_POPULATE", 0)

Bytes = NDArray[np.uint8]
Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Window:
    """Elements `start` to `stop` of a tensor that two models have, or of one that only one has."""

    name: str
    start: int
    stop: int

    @property
    def size(self) -> int:
        """The number of elements."""
        return self.stop - self.start

    def of(self, tensor: Stored) -> tuple[int, int]:
        """The window's first byte in the tensor's file, and the number of its bytes."""
        width = BYTES[tensor.dtype]
        return tensor.offset + self.start * width, (self.stop - self.start) * width


def windows(tensor: Stored, whole: int = 1, size: int = WINDOW) -> Iterator[Window]:
    """The windows of a tensor, in order, each of a multiple of `whole` elements: its rows, for one.

    `size` is in bytes; a window is larger only where that holds less than `whole` elements.
    """
    step = max(size // BYTES[tensor.dtype] // whole, 1) * whole
    for start in range(0, tensor.elements, step):
        yield Window(tensor.name, start, min(start + step, tensor.elements))


def blocks(tensor: Stored, whole: int = 1) -> Iterator[Window]:
    """Windows whose numbers, in float32, stay in the cache while they are worked on."""
    return windows(tensor, whole, BLOCK * BYTES[tensor.dtype])


class Reader:
    """Reads windows of one model's files. What it gave last may be overwritten when it gives the next."""

    def __init__(self) -> None:
        self._descriptors: dict[Path, int] = {}
        self._buffer = np.empty(0, np.uint8)
        self._room = np.empty(0, np.float32)

    def room(self, size: int) -> NDArray[np.float32]:
        """Memory for so many float32, the same at each call: large arrays cost more to make than to fill."""
        if len(self._room) < size:
            self._room = np.empty(size, np.float32)
        return self._room[:size]

    def close(self) -> None:
        """Close the files."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()

    def read(self, tensor: Stored, window: Window) -> Bytes:
        """The bytes of a window.

        Raises:
            ModelError: the file ends before them.
        """
        begin, size = window.of(tensor)
        descriptor = self._descriptor(tensor.file)
        if size >= SMALLEST_MAP and is_cached(descriptor, begin, size):
            return mapped(descriptor, begin, size)
        if len(self._buffer) < size:
            self._buffer = np.empty(size, np.uint8)
        done = 0
        while done < size:
            count = read_into(self._buffer.data[done:size], descriptor, begin + done)
            if count == 0:
                raise ModelError(f"{tensor.file} is truncated: it ends inside of {tensor.name}")
            done += count
        return self._buffer[:size]

    def _descriptor(self, file: Path) -> int:
        if file not in self._descriptors:
            self._descriptors[file] = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(self._descriptors[file], 0, 0, os.POSIX_FADV_SEQUENTIAL)
        return self._descriptors[file]


class Pair:
    """A reader for each of two models."""

    def __init__(self) -> None:
        self.base, self.edited = Reader(), Reader()

    def __enter__(self) -> Pair:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.base.close()
        self.edited.close()


def read_into(room: memoryview, descriptor: int, begin: int) -> int:
    """Fill memory with a file's bytes from there on; how many there were."""
    if sys.platform != "win32":
        return os.preadv(descriptor, [room], begin)
    os.lseek(descriptor, begin, os.SEEK_SET)
    content = os.read(descriptor, len(room))
    room[: len(content)] = content
    return len(content)


def mapped(descriptor: int, begin: int, size: int) -> Bytes:
    """A range of a file as memory; it is unmapped when the last array of it goes."""
    inside = begin % mmap.ALLOCATIONGRANULARITY
    memory = mmap.mmap(
        descriptor,
        size + inside,
        flags=mmap.MAP_SHARED | POPULATE,
        prot=mmap.PROT_READ,
        offset=begin - inside,
    )
    return np.frombuffer(memory, np.uint8)[inside:]


def is_cached(descriptor: int, begin: int, size: int) -> bool:
    """Whether the page cache holds a range of a file, going by its ends and its middle."""
    flag = getattr(os, "RWF_NOWAIT", None)
    if flag is None:
        return False
    byte = [bytearray(1)]
    try:
        return all(
            os.preadv(descriptor, byte, at, flag) == 1 for at in (begin, begin + size // 2, begin + size - 1)
        )
    except OSError:  # it would have to wait, or the file system cannot tell
        return False


def same(one: Bytes, other: Bytes) -> bool:
    """Whether two windows of one length hold the same bytes."""
    return bool(_memcmp()(one.ctypes.data, other.ctypes.data, len(one)) == 0)


@cache
def _memcmp() -> Callable[[int, int, int], int]:
    """The C library's, which needs no array for what it finds."""
    compare = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None).memcmp
    compare.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    return compare


def threads() -> int:
    """How many threads work on windows."""
    return min(MOST_THREADS, os.cpu_count() or 1)


def over(jobs: Sequence[Job], work: Callable[[Job, Pair], Result]) -> list[Result]:
    """What `work` makes of every job, in the order of the jobs; each thread has a pair of readers of its own.

    The first exception ends it.
    """
    waiting: queue.SimpleQueue[tuple[int, Job]] = queue.SimpleQueue()
    for numbered in enumerate(jobs):
        waiting.put(numbered)
    results: dict[int, Result] = {}

    def worker() -> None:
        with Pair() as pair:
            while True:
                try:
                    number, job = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    results[number] = work(job, pair)
                except BaseException:
                    _empty(waiting)
                    raise

    count = min(threads(), len(jobs))
    if count:
        with ThreadPoolExecutor(count) as pool:
            for future in [pool.submit(worker) for _ in range(count)]:
                future.result()
    return [results[number] for number in range(len(jobs))]


def _empty(waiting: queue.SimpleQueue[tuple[int, Job]]) -> None:
    try:
        while True:
            waiting.get_nowait()
    except queue.Empty:
        return
