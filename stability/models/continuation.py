"""Running only a model's upper blocks, from a residual stream that was kept when the lower ones ran."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from stability.models.kept_keys import Call, KeptKeys, Later, cache_of, with_cache
from stability.models.map import ModelMap

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Continuation:
    """A forward pass stopped before block `first` (before the final norm, if there is no such block).

    `hidden` is the residual stream there, [rows, tokens, d]. What the upper blocks are called with besides
    (masks, positions) was recorded from the model's own forward, so no architecture is spelled out here.

    After `later`, it is of each row's tokens from its place in `starts` on.
    """

    map: ModelMap
    first: int
    hidden: Tensor
    calls: tuple[Call, ...]
    kept: KeptKeys | None = None  # of the blocks from `first` on, if they were asked for
    starts: Tensor | None = None  # [rows]; None: with its first

    def run(self, hidden: Tensor) -> Tensor:
        """The residual stream after the last block, [rows, tokens, d], before the final norm.

        `hidden`, [rows, tokens, d], takes the place of what was kept; gradients flow through it.
        """
        earlier = None if self.starts is None or self.kept is None else self.kept.cache()
        calls = with_cache(self.calls, earlier)
        for block, (args, kwargs) in zip(self.map.blocks[self.first :], calls, strict=True):
            output = block(hidden, *args, **kwargs)
            hidden = output[0] if isinstance(output, tuple) else output
        return hidden

    def logits(self, hidden: Tensor, rows: Tensor, positions: Tensor) -> Tensor:
        """Logits [n, vocabulary] at n (row, position) places only; `hidden` as in `run`."""
        stream = self.run(hidden)
        places = self.places(positions, rows)
        last = stream[rows.to(stream.device), places.to(stream.device)]  # [n, d]
        return self.map.logits(self.map.final_norm(last))

    def only(self, rows: Tensor) -> Continuation:
        """The same forward pass with these rows, [n], alone."""
        calls = tuple(
            (tuple(self._only(one, rows) for one in args), self._only(kwargs, rows))
            for args, kwargs in self.calls
        )
        return replace(
            self,
            hidden=self.hidden[rows.to(self.hidden.device)],
            calls=calls,
            kept=None if self.kept is None else self.kept.only(rows),
            starts=None if self.starts is None else self.starts[rows.to(self.starts.device)],
        )

    def places(self, positions: Tensor, rows: Tensor | None = None) -> Tensor:
        """Where in `hidden` these positions of the rows are, [n]; without `rows`, one of each row."""
        if self.starts is None:
            return positions
        starts = self.starts.to(positions.device)
        return positions - (starts if rows is None else starts[rows.to(positions.device)])

    def later(self, starts: Tensor, lengths: Tensor) -> Continuation:
        """The same pass of each row's tokens from `starts` on alone, [rows]; `lengths` are without padding.

        What is before them is not run again: the model's keys and values of it are kept, which `suspend` has
        to be asked for. Only what is at or after `starts` may differ from what was kept. Where that cannot be
        done, or gives another stream than the whole pass did, this pass is returned.
        """
        if self.kept is None or not int(starts.max()):
            return self
        tokens = Later.of(starts, lengths, self.hidden.shape[1])
        try:
            shorter = replace(
                self,
                hidden=tokens.of_tokens(self.hidden),
                calls=tuple(tokens.call(call, self.hidden) for call in self.calls),
                kept=replace(self.kept.before(tokens.before), end=tokens.of_tokens(self.kept.end)),
                starts=starts,
            )
            with torch.no_grad():
                is_same = shorter._ends_alike(lengths - starts)
        except (RuntimeError, TypeError, ValueError, LookupError, AttributeError) as error:
            log.debug("every token is run again, for the model takes no keys that were kept: %s", error)
            return self
        if not is_same:
            log.debug("every token is run again, for with keys that were kept the stream is another one")
            return self
        return shorter

    def _ends_alike(self, lengths: Tensor) -> bool:
        """Whether the pass ends as the one did whose keys were kept, but for rounding."""
        if self.kept is None:
            return False
        stream, end = self.run(self.hidden), self.kept.end
        is_token = torch.arange(stream.shape[1], device=stream.device) < lengths.to(stream.device)[:, None]
        away = (stream.float() - end.float()).norm(dim=-1)[is_token]
        size = end.float().norm(dim=-1)[is_token]
        return bool((away <= torch.finfo(stream.dtype).eps ** 0.5 * size).all())

    def _only(self, value: Any, rows: Tensor) -> Any:
        """What holds something for each row has rows, or rows times heads, as the first of its dimensions."""
        if isinstance(value, Tensor):
            all_rows, tokens = self.hidden.shape[:2]
            if value.ndim >= 2 and len(value) == all_rows:
                return value[rows.to(value.device)]
            if value.shape[1:] == (1, tokens) and len(value) % all_rows == 0:  # ALiBi's bias of keys
                return value.reshape(all_rows, -1, 1, tokens)[rows.to(value.device)].flatten(0, 1)
            return value
        if isinstance(value, tuple):
            return tuple(self._only(one, rows) for one in value)
        if isinstance(value, dict):
            return {name: self._only(one, rows) for name, one in value.items()}
        return value


@contextmanager
def recording(found: ModelMap, first: int) -> Iterator[list[Continuation]]:
    """While open, each forward pass of the model appends its continuation from block `first` on.

    If the model is called with `use_cache=True`, each keeps its keys and values.
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
        cache = cache_of(calls)
        kept = None if cache is None else KeptKeys.of(cache, first, args[0].detach())
        made.append(Continuation(found, first, entered.pop(), tuple(calls), kept))
        calls.clear()

    with ExitStack() as stack:
        for index in range(first, found.n_layers):
            hook = found.blocks[index].register_forward_pre_hook(enter(index), with_kwargs=True)
            stack.callback(hook.remove)
        stack.callback(found.final_norm.register_forward_pre_hook(finish).remove)
        yield made


def suspend(
    model: nn.Module,
    found: ModelMap,
    input_ids: Tensor,
    attention_mask: Tensor,
    first: int,
    *,
    keep_keys: bool = False,
) -> Continuation:
    """Run a batch, without gradients, and keep where it stood before block `first`.

    `input_ids` and `attention_mask` are [rows, tokens], padded on the right. `keep_keys` is for `later`.
    """
    with recording(found, first) as made, torch.no_grad():
        model(input_ids=input_ids, attention_mask=attention_mask, use_cache=keep_keys)
    return made[0]
