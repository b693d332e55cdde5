"""Which tokens to run, and at which places to read logits, so that every request is answered once.

Requests that share a context become one row: the context, then each continuation as a branch that sees the
context and itself only. Where that is not wanted, each different sequence is a row of its own. Plans depend
on tokens alone, so one plan serves every checkpoint.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stability.errors import DataError

CONTEXT, PADDING = 0, -1

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Request:
    """A continuation, of at least one token, to be scored after a context of at least one token."""

    context: Ids
    continuation: Ids


@dataclass(frozen=True)
class Batch:
    """Rows to run together, and the places whose logits answer requests.

    `branches` tells a row's tokens apart (0 context, 1 and up its branches, -1 padding) where a row has
    several branches; rows of one branch need no more than the causal mask. The last three tensors have one
    entry for each token that is scored.
    """

    input_ids: Tensor  # [rows, tokens]
    branches: Tensor | None  # [rows, tokens]
    positions: Tensor | None  # [rows, tokens]
    rows: Tensor  # [places]
    columns: Tensor  # [places]
    place: Tensor  # [scored]  which place predicts the token
    token: Tensor  # [scored]
    request: Tensor  # [scored]  whose token it is


@dataclass(frozen=True)
class Plan:
    """All batches for `n` requests. `truncated` holds the requests whose context was cut on the left."""

    n: int
    batches: tuple[Batch, ...] = field(repr=False)
    lengths: Tensor = field(repr=False)  # [n] tokens of each continuation
    truncated: frozenset[int] = field(default=frozenset(), repr=False)

    @property
    def tokens(self) -> int:
        """The number of tokens that the model is run on, padding included."""
        return sum(batch.input_ids.numel() for batch in self.batches)


@dataclass
class Row:
    """A context and the branches after it; `wanted` has the (token, request) pairs scored at each column."""

    context: Ids
    branches: list[Ids] = field(default_factory=list)
    wanted: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    @property
    def tokens(self) -> int:
        """How many tokens the row has."""
        return len(self.context) + sum(len(branch) for branch in self.branches)

    def ask(self, index: int, start: int, continuation: Ids, request: int) -> None:
        """Score a continuation along branch `index`; `start` is the place of its first token."""
        offset = len(self.context) + sum(len(branch) for branch in self.branches[:index])
        for step, token in enumerate(continuation):
            at = start + step
            # A branch's first token stands behind the other branches, but is predicted at the context's end.
            column = at if at < len(self.context) else offset + at - len(self.context)
            self.wanted[column].append((token, request))


def make_plan(requests: Sequence[Request], max_length: int, batch_size: int, *, share: bool) -> Plan:
    """Plan the scoring of requests by a model that takes `max_length` tokens, `batch_size` rows at a time.

    A request that is too long loses the beginning of its context, as in lm-eval: its last `max_length + 1`
    tokens stay, of which the last one is not run.

    Raises:
        DataError: a context or continuation is empty, or a continuation alone is longer than the model takes.
    """
    cut = [_cut(request, max_length) for request in requests]
    rows = list(_shared_rows(cut, max_length) if share else _single_rows(cut))
    rows.sort(key=lambda row: row.tokens, reverse=True)
    plain = [row for row in rows if len(row.branches) <= 1]
    forked = [row for row in rows if len(row.branches) > 1]
    return Plan(
        n=len(requests),
        batches=tuple(
            _batch(group[first : first + batch_size])
            for group in (plain, forked)
            for first in range(0, len(group), batch_size)
        ),
        lengths=torch.tensor([len(request.continuation) for request in requests], dtype=torch.int64),
        truncated=frozenset(
            i for i, (short, request) in enumerate(zip(cut, requests, strict=True)) if short is not request
        ),
    )


def _cut(request: Request, max_length: int) -> Request:
    """The request itself, or one with a shorter context."""
    if not request.context or not request.continuation:
        raise DataError(
            "a request to score must have a context and a continuation of at least one token each"
        )
    if len(request.continuation) > max_length:
        raise DataError(
            f"a continuation of {len(request.continuation)} tokens cannot be scored by a model that takes "
            f"{max_length} at once"
        )
    excess = len(request.context) + len(request.continuation) - (max_length + 1)
    return request if excess <= 0 else Request(request.context[excess:], request.continuation)


def _single_rows(requests: Iterable[Request]) -> Iterator[Row]:
    """A row for each different sequence, which several requests may read from."""
    rows: dict[Ids, Row] = {}
    for number, request in enumerate(requests):
        run = request.context + request.continuation[:-1]
        row = rows.setdefault(run, Row(run))
        row.ask(0, len(request.context) - 1, request.continuation, number)
    yield from rows.values()


def _shared_rows(requests: Iterable[Request], max_length: int) -> Iterator[Row]:
    """A row for each different context, or several, if its branches do not fit into `max_length` tokens."""
    by_context: dict[Ids, list[tuple[int, Ids]]] = defaultdict(list)
    for number, request in enumerate(requests):
        by_context[request.context].append((number, request.continuation))
    for context, asked in by_context.items():
        # Longest first, so that a continuation that begins another one finds it there.
        asked.sort(key=lambda pair: -len(pair[1]))
        row = Row(context)
        for number, continuation in asked:
            branch = continuation[:-1]
            index = _find(row.branches, branch)
            if index is None:
                if row.branches and row.tokens + len(branch) > max_length:
                    yield row
                    row = Row(context)
                row.branches.append(branch)
                index = len(row.branches) - 1
            row.ask(index, len(context) - 1, continuation, number)
        yield row


def _find(branches: list[Ids], branch: Ids) -> int | None:
    """The first branch that begins with this one."""
    return next((i for i, other in enumerate(branches) if other[: len(branch)] == branch), None)


def _batch(rows: Sequence[Row]) -> Batch:
    longest = max(row.tokens for row in rows)
    input_ids = torch.zeros(len(rows), longest, dtype=torch.int64)
    branches = torch.full_like(input_ids, PADDING)
    positions = torch.zeros_like(input_ids)
    places: list[tuple[int, int]] = []
    scored: list[tuple[int, int, int]] = []
    for number, row in enumerate(rows):
        end = len(row.context)
        ids, labels, steps = list(row.context), [CONTEXT] * end, list(range(end))
        for label, branch in enumerate(row.branches, start=1):
            ids += branch
            labels += [label] * len(branch)
            steps += range(end, end + len(branch))
        input_ids[number, : len(ids)] = torch.tensor(ids)
        branches[number, : len(ids)] = torch.tensor(labels)
        positions[number, : len(ids)] = torch.tensor(steps)
        for column, tokens in row.wanted.items():
            scored += [(len(places), token, request) for token, request in tokens]
            places.append((number, column))
    place, token, request = torch.tensor(scored, dtype=torch.int64).T.contiguous()
    where = torch.tensor(places, dtype=torch.int64).T.contiguous()
    forked = any(len(row.branches) > 1 for row in rows)
    return Batch(
        input_ids=input_ids,
        branches=branches if forked else None,
        positions=positions if forked else None,
        rows=where[0],
        columns=where[1],
        place=place,
        token=token,
        request=request,
    )
