"""Running only a model's upper blocks, from a residual stream that was kept when the lower ones ran."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stability.models.map import ModelMap


@dataclass(frozen=True)
class Continuation:
    """A forward pass stopped before block `first` (before the final norm, if there is no such block).

    `hidden` is the residual stream there, [rows, tokens, d]. What the upper blocks are called with besides
    (masks, positions) was recorded from the model's own forward, so no architecture is spelled out here.
    """

    map: ModelMap
    first: int
    hidden: Tensor
    calls: tuple[tuple[tuple[Any, ...], dict[str, Any]], ...]

    def run(self, hidden: Tensor) -> Tensor:
        """The residual stream after the last block, [rows, tokens, d], before the final norm.

        `hidden`, [rows, tokens, d], takes the place of what was kept; gradients flow through it.
        """
        for block, (args, kwargs) in zip(self.map.blocks[self.first :], self.calls, strict=True):
            output = block(hidden, *args, **kwargs)
            hidden = output[0] if isinstance(output, tuple) else output
        return hidden

    def logits(self, hidden: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        """Logits [n, vocabulary] at n (row, position) places only; `hidden` as in `run`."""
        stream = self.run(hidden)
        last = stream[rows.to(stream.device), positions.to(stream.device)]  # [n, d]
        return self.map.logits(self.map.final_norm(last))

    def only(self, rows: Tensor) -> Continuation:
        """The same forward pass with these rows, [n], alone."""
        calls = tuple(
            (tuple(self._only(one, rows) for one in args), self._only(kwargs, rows))
            for args, kwargs in self.calls
        )
        return Continuation(self.map, self.first, self.hidden[rows.to(self.hidden.device)], calls)

    def _only(self, value: Any, rows: Tensor) -> Any:
        """What holds something for each row has the rows as the first of two or more dimensions."""
        if isinstance(value, Tensor):
            by_row = value.ndim >= 2 and len(value) == len(self.hidden)
            return value[rows.to(value.device)] if by_row else value
        if isinstance(value, tuple):
            return tuple(self._only(one, rows) for one in value)
        if isinstance(value, dict):
            return {name: self._only(one, rows) for name, one in value.items()}
        return value


@contextmanager
def recording(found: ModelMap, first: int) -> Iterator[list[Continuation]]:
    """While open, each forward pass of the model appends its continuation from block `first` on.

    The model must be called with `use_cache=False`: a cache would be extended again by each continuation.
    """
    made: list[Continuation] = []
    entered: list[Tensor] = []
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def enter(index: int) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            kwargs = dict(kwargs)
            hidden = args[0] if args else kwargs.pop("hidden_states")
            if index == first:
                entered.append(hidden.detach())
            calls.append((args[1:], kwargs))

        return hook

    def finish(_module: nn.Module, args: tuple[Any, ...]) -> None:
        if first == found.n_layers:
            entered.append(args[0].detach())
        made.append(Continuation(found, first, entered.pop(), tuple(calls)))
        calls.clear()

    with ExitStack() as stack:
        for index in range(first, found.n_layers):
            hook = found.blocks[index].register_forward_pre_hook(enter(index), with_kwargs=True)
            stack.callback(hook.remove)
        stack.callback(found.final_norm.register_forward_pre_hook(finish).remove)
        yield made


def suspend(
    model: nn.Module, found: ModelMap, input_ids: Tensor, attention_mask: Tensor, first: int
) -> Continuation:
    """Run a batch, without gradients, and keep where it stood before block `first`.

    `input_ids` and `attention_mask` are [rows, tokens], padded on the right.
    """
    with recording(found, first) as made, torch.no_grad():
        model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
    return made[0]
