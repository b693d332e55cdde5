"""Which tokens to run, and at which places to read logits, so that every request is answered once.

A row is a tree of tokens: what its sequences have in common is run once, and each token sees those before it
on its own branch only. Choices share their context, and documents the examples that stand before them. Where
sharing is not wanted, each different sequence is a row of its own. Plans depend on tokens alone, so one plan
serves every checkpoint.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stability.errors import DataError
from stability.metrics.scoring.tree import Tree

# Rows are long enough to share and short enough that attention over all of a row costs little.
ROW_TOKENS = 2048
MASK_VALUES = 2**25
# Documents share a row if more than this part of their contexts is common to them.
COMMON_PART = 0.5

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Request:
    """A continuation, of at least one token, to be scored after a context of at least one token."""

    context: Ids
    continuation: Ids


@dataclass(frozen=True)
class Batch:
    """Rows to run together, and the places whose logits answer requests.

    Rows that branch have `positions`, and for the attention mask each token's `segment`, the unbranched
    stretch that it belongs to, and which segments stand `above` which; others need no more than the causal
    mask. The last three tensors have one entry for each token that is scored.
    """

    input_ids: Tensor  # [rows, tokens]
    positions: Tensor | None  # [rows, tokens]
    segment: Tensor | None  # [rows, tokens]
    above: Tensor | None  # [rows, segments, segments] bool: whether the second is the first, or above it
    rows: Tensor  # [places]
    columns: Tensor  # [places]
    place: Tensor  # [scored]  which place predicts the token
    token: Tensor  # [scored]
    request: Tensor  # [scored]  whose token it is


@dataclass(frozen=True)
class Plan:
    """All batches for `n` requests. `truncated` holds the requests whose context was cut on the left.

    `requests` are as they are asked, cut where they were too long.
    """

    n: int
    requests: tuple[Request, ...] = field(repr=False)
    batches: tuple[Batch, ...] = field(repr=False)
    lengths: Tensor = field(repr=False)  # [n] tokens of each continuation
    truncated: frozenset[int] = field(default=frozenset(), repr=False)
    shared: bool = False  # whether rows may be shared

    @property
    def tokens(self) -> int:
        """The number of tokens that the model is run on, padding included."""
        return sum(batch.input_ids.numel() for batch in self.batches)

    def apart(self) -> Iterator[Batch]:
        """The same requests with each different sequence run by itself, without padding."""
        return (_batch([row]) for row in _single_rows(self.requests))


def make_plan(requests: Sequence[Request], max_length: int, batch_size: int, *, share: bool) -> Plan:
    """Plan the scoring of requests by a model that takes `max_length` tokens, `batch_size` rows at a time.

    A request that is too long loses the beginning of its context, as in lm-eval: its last `max_length + 1`
    tokens stay, of which the last one is not run.

    Raises:
        DataError: a context or continuation is empty, or a continuation alone is longer than the model takes.
    """
    cut = [_cut(request, max_length) for request in requests]
    rows = list(_shared_rows(cut, min(max_length, ROW_TOKENS)) if share else _single_rows(cut))
    rows.sort(key=len, reverse=True)
    groups = [row for row in rows if not row.branches], [row for row in rows if row.branches]
    return Plan(
        n=len(requests),
        requests=tuple(cut),
        batches=tuple(_batch(part) for group in groups for part in _parts(group, batch_size)),
        lengths=torch.tensor([len(request.continuation) for request in requests], dtype=torch.int64),
        truncated=frozenset(
            i for i, (short, request) in enumerate(zip(cut, requests, strict=True)) if short is not request
        ),
        shared=share,
    )


def _cut(request: Request, max_length: int) -> Request:
    """The request itself, or one with a shorter context."""
    if not request.context or not request.continuation:
        raise DataError("a context and a continuation need at least one token each to be scored")
    if len(request.continuation) > max_length:
        raise DataError(
            f"a continuation of {len(request.continuation)} tokens cannot be scored by a model that takes "
            f"{max_length} at once"
        )
    excess = len(request.context) + len(request.continuation) - (max_length + 1)
    return request if excess <= 0 else Request(request.context[excess:], request.continuation)


def _single_rows(requests: Sequence[Request]) -> Iterator[Tree]:
    """A row for each different sequence, which several requests may read from."""
    rows: dict[Ids, Tree] = {}
    for number, request in enumerate(requests):
        row = rows.setdefault(request.context + request.continuation[:-1], Tree())
        row.ask(request.context, request.continuation, number)
    yield from rows.values()


def _shared_rows(requests: Sequence[Request], most: int) -> Iterator[Tree]:
    """Rows of at most `most` tokens, unless a single sequence is longer."""
    by_context: dict[Ids, list[tuple[Ids, int]]] = defaultdict(list)
    for number, request in enumerate(requests):
        by_context[request.context].append((request.continuation, number))
    row = Tree()
    first: Ids = ()
    for context in sorted(by_context):  # so that contexts which begin alike are neighbors
        asked = by_context[context]
        common = _common(first, context)
        room = most - len(row) - sum(len(continuation) - 1 for continuation, _ in asked)
        if common <= COMMON_PART * len(context) or len(context) - common > room:
            if len(row):
                yield row
            row, first = Tree(), context
        for continuation, number in asked:
            if len(row) and len(row) + row.growth(context, continuation) > max(most, len(context)):
                yield row
                row, first = Tree(), context
            row.ask(context, continuation, number)
    if len(row):
        yield row


def _common(one: Ids, other: Ids) -> int:
    """With how many tokens both begin."""
    for at, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return at
    return min(len(one), len(other))


def _parts(rows: Sequence[Tree], batch_size: int) -> Iterator[Sequence[Tree]]:
    """Rows by the batch, longest first; fewer where their masks would be large."""
    first = 0
    while first < len(rows):
        fitting = max(1, MASK_VALUES // len(rows[first]) ** 2) if rows[first].branches else batch_size
        count = min(batch_size, fitting)
        yield rows[first : first + count]
        first += count


def _batch(rows: Sequence[Tree]) -> Batch:
    input_ids = torch.zeros(len(rows), len(rows[0]), dtype=torch.int64)
    positions, segment = torch.zeros_like(input_ids), torch.zeros_like(input_ids)
    aboves = [torch.tensor(row.above()) for row in rows]
    most = max(len(above) for above in aboves) + 1  # padding is a segment by itself, under no other
    above = torch.eye(most, dtype=torch.bool).repeat(len(rows), 1, 1)
    places: list[tuple[int, int]] = []
    scored: list[tuple[int, int, int]] = []
    for number, row in enumerate(rows):
        n = len(row)
        input_ids[number, :n] = torch.tensor(row.tokens)
        positions[number, :n] = torch.tensor(row.depths)
        segment[number, :n] = torch.tensor(row.segments())
        segment[number, n:] = most - 1
        above[number, : len(aboves[number]), : len(aboves[number])] = aboves[number]
        for column, wanted in row.wanted.items():
            scored += [(len(places), token, request) for token, request in wanted]
            places.append((number, column))
    place, token, request = torch.tensor(scored, dtype=torch.int64).T.contiguous()
    where = torch.tensor(places, dtype=torch.int64).T.contiguous()
    branching = rows[0].branches
    return Batch(
        input_ids=input_ids,
        positions=positions if branching else None,
        segment=segment if branching else None,
        above=above if branching else None,
        rows=where[0],
        columns=where[1],
        place=place,
        token=token,
        request=request,
    )
