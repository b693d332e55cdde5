"""Frobenius norms that are right at any size and in any dtype, at nearly the speed of reading memory.

A plain float32 or bfloat16 `.norm()` is wrong by 1 % at 1e8 values on the CPU, and `dot` by 5e-5 on a
constant matrix. Here a chunk that fits the cache is widened to float32, squared in place and summed pairwise,
and the chunks are added in float64: relative error below 1e-6. Where float32 squares over- or underflow, the
chunk is done again in float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

CPU_CHUNK = 2**18  # values: with its float32 copy, what stays in a core's cache
DEVICE_CHUNK = 2**24
SMALLEST_SUM = 1e-26  # below it, squares lost to underflow could be more than 1e-6 of a chunk's sum


def frobenius_norm(values: Tensor, minus: Tensor | None = None) -> float:
    """The norm ‖values‖_F, or ‖values - minus‖_F, whatever the shape, dtype, device and strides.

    `minus` has the shape of `values` and may be on another device. A NaN gives NaN, an infinity without one
    infinity.

    Raises:
        ValueError: the shapes differ.
    """
    if values.dtype == torch.float64:
        return _norm_of_float64(values, minus)
    total = 0.0
    size = CPU_CHUNK if values.device.type == "cpu" else DEVICE_CHUNK
    buffer = torch.empty(min(size, values.numel()), dtype=torch.float32, device=values.device)
    for chunk, other in _chunks(values, minus, size):
        wide = buffer[: len(chunk)]
        if other is None and chunk.dtype == torch.float32:
            torch.mul(chunk, chunk, out=wide)
        else:
            wide.copy_(chunk)
            if other is not None:
                wide.sub_(other.to(wide.device))
            wide.square_()
        squares = wide.sum().item()
        if not SMALLEST_SUM <= squares < math.inf:
            exact = _difference(chunk, other)
            squares = exact.square_().sum().item()
        total += squares
    return math.sqrt(total)


def _difference(chunk: Tensor, other: Tensor | None) -> Tensor:
    exact = chunk.cpu().to(torch.float64, copy=True)
    return exact if other is None else exact.sub_(other.cpu())


def _norm_of_float64(values: Tensor, minus: Tensor | None) -> float:
    """Scaled by the largest magnitude, so that squares stay in range."""
    sizes = [
        _difference(chunk, other).abs_().max().item() for chunk, other in _chunks(values, minus, CPU_CHUNK)
    ]
    if any(math.isnan(size) for size in sizes):
        return math.nan
    largest = max(sizes, default=0.0)
    if largest == 0 or math.isinf(largest):
        return largest
    total = 0.0
    for chunk, other in _chunks(values, minus, CPU_CHUNK):
        total += _difference(chunk, other).div_(largest).square_().sum().item()
    return math.sqrt(total) * largest


def _chunks(values: Tensor, minus: Tensor | None, size: int) -> Iterator[tuple[Tensor, Tensor | None]]:
    if minus is not None and values.shape != minus.shape:
        raise ValueError(f"cannot subtract a tensor of shape {list(minus.shape)} from {list(values.shape)}")
    chunks = torch.split(_flat(values), size) if values.numel() else ()
    others = torch.split(_flat(minus), size) if minus is not None and minus.numel() else [None] * len(chunks)
    return zip(chunks, others, strict=True)


def _flat(values: Tensor) -> Tensor:
    return values.detach().reshape(-1)
