"""Norms of weight matrices: torch's ways against the chunked kernel, and `svdvals` against the iteration.

    python -m benchmarks.norms [--values 134217728] [--repeats 5]

All run in one process on one thread, in turn; seconds are CPU seconds, the median over the repeats, `GB/s`
counts the values once. `error` is relative, against float64. `ratio` is how many times faster ours is.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import Tensor

from stability.metrics.weights.steps.norms import frobenius_norm
from stability.metrics.weights.steps.spectral import spectral_norm


def main() -> None:
    """Print a table for norms, one for norms of differences, one for singular values."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--values", type=int, default=2**27)
    arguments.add_argument("--repeats", type=int, default=5)
    asked = arguments.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.bfloat16, torch.float32):
        values = torch.randn(asked.values, generator=generator).mul_(0.02).to(dtype)
        constant = torch.full((asked.values,), 0.7071, dtype=dtype)
        norms(values, constant, asked.repeats)
        moved = (
            values.float() * (1 + 1e-2 * torch.rand(1024, generator=generator).repeat(asked.values // 1024))
        ).to(dtype)
        differences(moved, values, asked.repeats)
    for rows, columns in ((600, 2400), (1600, 6400)):
        singular_values(torch.randn(rows, columns, generator=generator), min(asked.repeats, 3))


def norms(values: Tensor, constant: Tensor, repeats: int) -> None:
    """‖W‖ of random values, and the error on a constant matrix as well."""
    ways: dict[str, Callable[[Tensor], float]] = {
        "ours": frobenius_norm,
        ".norm()": lambda one: one.norm().item(),
        ".float().norm()": lambda one: one.float().norm().item(),
        ".double().norm()": lambda one: one.double().norm().item(),
    }
    print(f"\n‖W‖_F, {values.numel():,} values, {name(values)}")
    exact, exact_constant = by_parts(values), by_parts(constant)
    seconds = race({way: lambda f=f: f(values) for way, f in ways.items()}, repeats)
    for way, taken in seconds.items():
        error = abs(ways[way](values) / exact - 1)
        error_constant = abs(ways[way](constant) / exact_constant - 1)
        speed = values.numel() * values.element_size() / taken / 1e9
        print(
            f"  {way:18} {taken:7.3f} s {speed:6.2f} GB/s   error {error:.0e}, "
            f"on a constant {error_constant:.0e}   ratio {taken / seconds['ours']:5.1f}"
        )


def differences(moved: Tensor, base: Tensor, repeats: int) -> None:
    """‖W - W0‖."""
    ways: dict[str, Callable[[], float]] = {
        "ours": lambda: frobenius_norm(moved, minus=base),
        "float32": lambda: (moved.float() - base.float()).norm().item(),
        "float64": lambda: (moved.double() - base.double()).norm().item(),
    }
    print(f"\n‖W - W0‖_F, {base.numel():,} values, {name(base)}")
    exact = by_parts(moved, base)
    seconds = race(ways, repeats)
    for way, taken in seconds.items():
        error = abs(ways[way]() / exact - 1)
        print(f"  {way:18} {taken:7.3f} s   error {error:.0e}   ratio {taken / seconds['ours']:5.1f}")


def singular_values(matrix: Tensor, repeats: int) -> None:
    """σ1."""
    ways: dict[str, Callable[[], float]] = {
        "ours": lambda: spectral_norm(matrix),
        "svdvals": lambda: torch.linalg.svdvals(matrix)[0].item(),
        "eigvalsh of Gram": lambda: (
            torch.linalg.eigvalsh(matrix.double() @ matrix.double().T)[-1].sqrt().item()
        ),
    }
    print(f"\nσ1 of {matrix.shape[0]} x {matrix.shape[1]}")
    exact = torch.linalg.eigvalsh(matrix.double() @ matrix.double().T)[-1].sqrt().item()
    seconds = race(ways, repeats)
    for way, taken in seconds.items():
        error = abs(ways[way]() / exact - 1)
        print(f"  {way:18} {taken:7.3f} s   error {error:.0e}   ratio {taken / seconds['ours']:5.1f}")


def race(ways: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Median CPU seconds of each, run in turn."""
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, run in ways.items():
            started = time.process_time()
            run()
            taken[way].append(time.process_time() - started)
    return {way: statistics.median(times) for way, times in taken.items()}


def by_parts(values: Tensor, minus: Tensor | None = None) -> float:
    """The norm in float64, in parts so that the copies stay small."""
    total = 0.0
    for start in range(0, len(values), 2**20):
        part = values[start : start + 2**20].double()
        if minus is not None:
            part -= minus[start : start + 2**20].double()
        total += part.square().sum().item()
    return total**0.5


def name(values: Tensor) -> str:
    """bfloat16, float32."""
    return str(values.dtype).removeprefix("torch.")


if __name__ == "__main__":
    main()
