"""Plans as tensors that can be kept: making one takes longer than reading it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

import torch
from torch import Tensor

from stability.metrics.scoring import Plan, Request
from stability.metrics.scoring.plan import Batch

PARTS = tuple(part.name for part in fields(Batch))


def pack_plan(plan: Plan) -> dict[str, Tensor]:
    """The plan's batches and requests; each context once, as choices share it."""
    contexts = list(dict.fromkeys(one.context for one in plan.requests))
    number = {context: index for index, context in enumerate(contexts)}
    packed = {
        "context": torch.tensor([number[one.context] for one in plan.requests], dtype=torch.int32)
    }  # [n]
    packed |= _rows("context", contexts)
    packed |= _rows("continuation", [one.continuation for one in plan.requests])
    for index, batch in enumerate(plan.batches):
        for part in PARTS:
            value: Tensor | None = getattr(batch, part)
            if value is not None:
                packed[f"{index}.{part}"] = value if value.dtype == torch.bool else value.to(torch.int32)
    return packed


def unpack_plan(packed: Mapping[str, Tensor], *, shared: bool) -> Plan:
    """The plan again, bit for bit; its requests are as they were cut."""
    contexts, continuations = (_split(packed, name) for name in ("context", "continuation"))
    requests = tuple(
        Request(contexts[number], continuation)
        for number, continuation in zip(packed["context"].tolist(), continuations, strict=True)
    )
    count = sum(name.endswith(".input_ids") for name in packed)
    return Plan(
        n=len(requests),
        requests=requests,
        batches=tuple(_batch(packed, index) for index in range(count)),
        lengths=torch.tensor([len(one.continuation) for one in requests], dtype=torch.int64),
        shared=shared,
    )


def _batch(packed: Mapping[str, Tensor], index: int) -> Batch:
    parts = {part: packed.get(f"{index}.{part}") for part in PARTS}
    wide = {
        part: None if value is None else value if value.dtype == torch.bool else value.to(torch.int64)
        for part, value in parts.items()
    }
    return Batch(**wide)  # type: ignore[arg-type]


def _rows(name: str, rows: Sequence[tuple[int, ...]]) -> dict[str, Tensor]:
    return {
        f"{name}_ids": torch.tensor([token for row in rows for token in row], dtype=torch.int32),
        f"{name}_lengths": torch.tensor([len(row) for row in rows], dtype=torch.int64),
    }


def _split(packed: Mapping[str, Tensor], name: str) -> list[tuple[int, ...]]:
    """One row of tokens, cut into the rows that it was made of."""
    flat, rows, first = packed[f"{name}_ids"].tolist(), [], 0
    for length in packed[f"{name}_lengths"].tolist():
        rows.append(tuple(flat[first : first + length]))
        first += length
    return rows
