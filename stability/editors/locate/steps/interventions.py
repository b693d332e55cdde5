"""Where δ is added in the search for a value: to the stream after a block, or inside a block."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from stability.editors.locate.steps.prompts import EditPrompts
from stability.models import Continuation
from stability.record.schema import MatrixKind


class Intervention(Protocol):
    """A forward pass with δ added at the subject's last token of every row, at one or several places."""

    @property
    def hidden(self) -> Tensor:
        """The residual stream with which the pass starts, [rows, tokens, d]."""

    def only(self, rows: Tensor) -> Intervention:
        """The same for these rows only."""

    def logits(self, deltas: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        """Logits [n, vocabulary] at n (row, position) places; `deltas` is [rows, places, d]."""


def from_subjects(above: Continuation, prompts: EditPrompts) -> Continuation:
    """The pass from each row's subject on, the only tokens that δ can change."""
    return above.later(prompts.subject_at, prompts.lengths)


@dataclass(frozen=True)
class StreamIntervention:
    """One place: the residual stream after the block whose MLP is edited, where a continuation starts.

    The MLP's output is added to that stream, so this is the same as adding δ to the MLP's output.
    """

    above: Continuation
    subject_at: Tensor  # [rows]

    @property
    def hidden(self) -> Tensor:
        """The stream after the block."""
        return self.above.hidden

    def only(self, rows: Tensor) -> StreamIntervention:
        """The same for these rows only."""
        return StreamIntervention(self.above.only(rows), self.subject_at[rows])

    def logits(self, deltas: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        """Only the blocks above are run."""
        pushed = _added(self.hidden, self.above.places(self.subject_at), deltas[:, 0])
        return self.above.logits(pushed, rows, positions)


@dataclass(frozen=True)
class BlockIntervention:
    """Several places: the outputs of matrices in the first block of a continuation, in the given order.

    The MLP of the same block reads what is added to the attention's output, unless the two are parallel as in
    GPT-J.
    """

    above: Continuation
    subject_at: Tensor  # [rows]
    kinds: tuple[MatrixKind, ...]

    @property
    def hidden(self) -> Tensor:
        """The stream before the block."""
        return self.above.hidden

    def only(self, rows: Tensor) -> BlockIntervention:
        """The same for these rows only."""
        return BlockIntervention(self.above.only(rows), self.subject_at[rows], self.kinds)

    def logits(self, deltas: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        """The block and those above it are run."""

        def add(place: int) -> Any:
            def hook(_module: nn.Module, _args: object, output: Tensor) -> Tensor:
                return _added(output, self.above.places(self.subject_at), deltas[:, place])

            return hook

        with ExitStack() as stack:
            for place, kind in enumerate(self.kinds):
                module = self.above.map.module(self.above.first, kind)
                stack.callback(module.register_forward_hook(add(place)).remove)
            return self.above.logits(self.hidden, rows, positions)


def _added(stream: Tensor, at: Tensor, deltas: Tensor) -> Tensor:
    """The stream [rows, tokens, d] with δ [rows, d] added in each row at its position."""
    at = at.to(stream.device)
    every = torch.arange(len(stream), device=stream.device)
    return stream.index_put((every, at), deltas.to(stream), accumulate=True)
