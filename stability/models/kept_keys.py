"""The later tokens of a forward pass, run over the keys and values that attention keeps of earlier ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

log = logging.getLogger(__name__)

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""What a block is called with besides the residual stream."""


@dataclass(frozen=True)
class KeptKeys:
    """Keys and values of the blocks of a pass, [rows, heads, tokens, d_head] each, and where it ended."""

    layers: tuple[tuple[int, Tensor, Tensor], ...]  # block, keys, values
    end: Tensor  # the residual stream after the last block, [rows, tokens, d]

    @classmethod
    def of(cls, cache: Cache, first: int, end: Tensor) -> KeptKeys | None:
        """Those of the blocks from `first` on; None if the model's cache does not hold every token's."""
        layers = []
        for index, layer in enumerate(getattr(cache, "layers", ())):
            if index < first:
                continue
            keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
            if not (_is_whole(keys, end) and _is_whole(values, end)):
                return None
            layers.append((index, keys, values))
        return cls(tuple(layers), end) if layers else None

    def before(self, tokens: int) -> KeptKeys:
        """Those of the first tokens alone."""
        layers = tuple(
            (index, keys[:, :, :tokens], values[:, :, :tokens]) for index, keys, values in self.layers
        )
        return KeptKeys(layers, self.end)

    def only(self, rows: Tensor) -> KeptKeys:
        """Those of some of the rows."""
        layers = tuple(
            (index, keys[rows.to(keys.device)], values[rows.to(values.device)])
            for index, keys, values in self.layers
        )
        return KeptKeys(layers, self.end[rows.to(self.end.device)])

    def cache(self) -> DynamicCache:
        """A cache with which blocks can be called once: they add to it."""
        made = DynamicCache()
        for index, keys, values in self.layers:
            made.update(keys, values, index)
        return made


def _is_whole(kept: object, end: Tensor) -> TypeGuard[Tensor]:
    """Whether it has something for every token of the stream, [rows, tokens, d]."""
    return isinstance(kept, Tensor) and kept.ndim == 4 and kept.shape[::2] == end.shape[:2]


def cache_of(calls: Sequence[Call]) -> Cache | None:
    """The cache that blocks are called with; None without one."""
    given = [one for args, kwargs in calls for one in (*args, *kwargs.values())]
    return next((one for one in given if isinstance(one, Cache)), None)


def with_cache(calls: Sequence[Call], cache: Cache | None) -> list[Call]:
    """The calls with this in the place of the cache that each was made with."""

    def put(value: Any) -> Any:
        return cache if isinstance(value, Cache) else value

    return [
        (tuple(put(one) for one in args), {name: put(one) for name, one in kwargs.items()})
        for args, kwargs in calls
    ]


@dataclass(frozen=True)
class Later:
    """The tokens of each row from its own start on: `at` is their place in the row, [rows, later tokens].

    Rows are of different lengths: what is behind a row's end repeats its last token, and is seen by none.
    """

    starts: Tensor  # [rows]
    at: Tensor
    tokens: int  # of the rows, padding included
    before: int  # the most tokens that a row has before its start

    @classmethod
    def of(cls, starts: Tensor, lengths: Tensor, tokens: int) -> Later:
        """Of rows with so many tokens that are no padding, [rows]."""
        most = int((lengths - starts).max())
        at = (starts[:, None] + torch.arange(most, device=starts.device)).clamp(max=tokens - 1)
        return cls(starts, at, tokens, int(starts.max()))

    def of_tokens(self, value: Tensor) -> Tensor:
        """What there is for each of these tokens, of [rows or 1, tokens, ...]."""
        at = self.at.to(value.device)
        rows = torch.arange(len(at), device=value.device)[:, None]
        return value.expand(len(at), *value.shape[1:])[rows, at]

    def mask(self, mask: Tensor | None, dtype: torch.dtype, device: torch.device) -> Tensor:
        """What these tokens see, [rows, heads or 1, later, before + later], of a mask [rows or 1, heads or 1,
        tokens, tokens] of true and false, or of 0 and what is added to attention; causal if there is none."""
        rows, later = self.at.shape
        at, starts = self.at.to(device), self.starts.to(device)
        order = torch.arange(later, device=device)
        early = torch.arange(self.before, device=device) < starts[:, None]  # [rows, before]
        seen = torch.cat(
            [early[:, None].expand(-1, later, -1), (order <= order[:, None]).expand(rows, -1, -1)], dim=-1
        )[:, None]  # [rows, 1, later, before + later]
        if mask is None:
            return torch.zeros(seen.shape, dtype=dtype, device=device).masked_fill(
                ~seen, torch.finfo(dtype).min
            )
        columns = torch.cat([torch.arange(self.before, device=device).expand(rows, -1), at], dim=-1)
        whole = mask.expand(rows, *mask.shape[1:])
        every = torch.arange(rows, device=device)[:, None, None, None]
        heads = torch.arange(whole.shape[1], device=device)[None, :, None, None]
        picked = whole[every, heads, at[:, None, :, None], columns[:, None, None, :]]
        if mask.dtype == torch.bool:
            return picked & seen
        return picked.masked_fill(~seen, torch.finfo(mask.dtype).min)

    def call(self, call: Call, hidden: Tensor) -> Call:
        """The call for these tokens alone; `hidden` is the whole stream, [rows, tokens, d]."""
        args, kwargs = call
        mine = {name: self._part(one) for name, one in kwargs.items()}
        if mine.get("attention_mask", hidden) is None:
            mine["attention_mask"] = self.mask(None, hidden.dtype, hidden.device)
        return tuple(self._part(one) for one in args), mine

    def _part(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(self._part(one) for one in value)
        if not isinstance(value, Tensor):
            return value
        if value.ndim == 4 and value.shape[-2:] == (self.tokens, self.tokens):
            return self.mask(value, value.dtype, value.device)
        if value.ndim >= 2 and value.shape[1] == self.tokens and len(value) in (1, len(self.at)):
            return self.of_tokens(value)
        if value.shape == (self.tokens,):
            return torch.arange(self.before, self.before + self.at.shape[1], device=value.device)
        return value
