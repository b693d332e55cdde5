"""What measuring costs, as readings of a single value: seconds, and the memory that the process has held."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from stability.record import Reading


def scalar(value: float, unit: str) -> Reading:
    """A reading of a single value."""
    return Reading(over="scalar", values={"": value}, unit=unit)


def measuring_costs(started: float) -> dict[str, Reading]:
    """The costs of a checkpoint whose measuring began at `started`, by `time.perf_counter`."""
    costs = {"measure_seconds": scalar(time.perf_counter() - started, "s")}
    memory = peak_memory()
    if memory is not None:
        costs["peak_memory"] = scalar(memory, "MiB")
    return costs


def peak_memory() -> float | None:
    """The most memory that this process has held so far, in MiB: on the GPU if it uses one, else in RAM.

    None where the system does not tell.
    """
    torch = sys.modules.get("torch")  # who has not imported it holds nothing on a GPU
    if torch is not None and torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return float(torch.cuda.max_memory_allocated()) / 2**20
    try:
        import resource
    except ImportError:  # Windows has no such module
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


@contextmanager
def timed(table: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds spent inside to one entry of a table."""
    started = time.perf_counter()
    try:
        yield
    finally:
        table[stage] += time.perf_counter() - started
