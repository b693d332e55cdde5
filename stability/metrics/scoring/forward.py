"""Running a plan by the model's own forward pass, of a plain model with the head where it is needed only."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stability.errors import MeasurementError, ModelError, with_type
from stability.metrics.scoring.plan import Batch, Plan, Request, make_plan
from stability.models import language_model
from stability.models.modes import evaluating
from stability.models.plain import is_plain

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scores:
    """The answers to a plan's requests, on the CPU.

    `log_probs` [n] float64: the sum over the continuation's tokens, each rounded as the model's dtype rounds.
    `greedy` [n] bool: whether every one of these tokens was the argmax.
    """

    log_probs: Tensor
    greedy: Tensor


def score(plan: Plan, model: nn.Module, head: nn.Module) -> Scores:
    """Answer every request of the plan from the logits that the model returns.

    What an editor has wrapped, hooked or patched is called as its user would: a text at a time, whole, with
    its mask. A plain model gives the same for many at once.

    Raises:
        MeasurementError: a log-probability is NaN or infinite.
        ModelError: the model returns no logits; a plain one does not compute them by calling `head` on the
            residual stream.
    """
    log_probs = torch.zeros(plan.n, dtype=torch.float64)
    misses = torch.zeros(plan.n, dtype=torch.int64)
    dtype = torch.float64
    with evaluating(model), ExitStack() as stack:
        plain = is_plain(model)
        places = stack.enter_context(_Places(head)) if plain else None
        for batch in plan.batches if plain else plan.apart():
            # [places, vocabulary]
            logits = _returned_logits(model, batch) if places is None else places.logits(model, batch)
            dtype = logits.dtype
            place, token = batch.place.to(logits.device), batch.token.to(logits.device)
            norms, peaks = reduce_vocabulary(logits)
            picked = logits[place, token].to(norms.dtype)  # [scored]
            log_probs.index_add_(0, batch.request, (picked - norms[place]).to(dtype).double().cpu())
            misses.index_add_(0, batch.request, (~_is_argmax(logits, peaks, place, token)).long().cpu())
    if not torch.isfinite(log_probs).all():
        broken = int((~torch.isfinite(log_probs)).sum())
        raise MeasurementError(
            f"{broken} of {plan.n} log-probabilities are NaN or infinite: the model's weights or activations "
            "are not finite, so nothing can be scored",
            kind="not_finite",
            count=broken,
        )
    return Scores(log_probs.to(dtype).double(), misses == 0)


def _returned_logits(model: nn.Module, batch: Batch) -> Tensor:
    """Logits [places, vocabulary] out of those of the whole batch, which needs no padding."""
    logits = returned_logits(model, batch.input_ids, torch.ones_like(batch.input_ids))
    return logits[batch.rows.to(logits.device), batch.columns.to(logits.device)]


def returned_logits(model: nn.Module, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """The logits [rows, tokens, vocabulary] of a model that is called as its user would, on [rows, tokens].

    Raises:
        ModelError: it returns no logits, or not for every token.
    """
    device = next((language_model(model) or model).parameters()).device
    returned = model(
        input_ids=input_ids.to(device), attention_mask=attention_mask.to(device), use_cache=False
    )
    logits = _logits_of(model, returned)
    check_shape(model, logits, input_ids.shape)
    return logits


def _logits_of(model: nn.Module, returned: object) -> Tensor:
    logits = getattr(returned, "logits", None)
    if not isinstance(logits, Tensor):
        raise ModelError(f"{type(model).__name__} returns a {type(returned).__name__} without logits")
    return logits


class _Places:
    """Hooks the head so that it sees only the hidden states at a batch's places; unhooked on exit."""

    def __init__(self, head: nn.Module) -> None:
        self._head = head
        self._at: tuple[Tensor, Tensor] | None = None
        self._shape = torch.Size()  # of the batch: rows, tokens
        self._model: nn.Module = head

    def __enter__(self) -> _Places:
        self._handle = self._head.register_forward_pre_hook(self._select)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _select(self, _module: nn.Module, args: tuple[Any, ...]) -> tuple[Tensor, ...] | None:
        if self._at is None or not args:
            return None
        hidden = args[0]  # [rows, tokens, d]
        check_shape(self._model, hidden, self._shape)
        rows, columns = (index.to(hidden.device) for index in self._at)
        self._at = None
        return (hidden[rows, columns][None], *args[1:])  # [1, places, d]

    def logits(self, model: nn.Module, batch: Batch) -> Tensor:
        """One forward pass; logits [places, vocabulary]."""
        parameter = next((language_model(model) or model).parameters())
        device, dtype = parameter.device, parameter.dtype
        input_ids = batch.input_ids.to(device)
        extra = {"attention_mask": torch.ones_like(input_ids)}  # a text's own padding token is text, too
        if batch.positions is not None and batch.segment is not None and batch.above is not None:
            extra["attention_mask"] = tree_mask(batch.segment.to(device), batch.above.to(device), dtype)
            extra["position_ids"] = batch.positions.to(device)
        self._at, self._shape, self._model = (batch.rows, batch.columns), batch.input_ids.shape, model
        output = _logits_of(model, model(input_ids=input_ids, use_cache=False, **extra))
        if self._at is not None or output.shape[:2] != (1, len(batch.rows)):
            raise ModelError(
                f"{type(model).__name__} does not compute its logits by one call of its output embedding "
                f"({type(self._head).__name__}); the scorer needs that"
            )
        return output[0]


def check_shape(model: nn.Module, stream: Tensor, shape: tuple[int, ...]) -> None:
    """See that a residual stream or logits, [rows, tokens, d], have a place for each token that was put in.

    Raises:
        ModelError: it has not, as where a wrapper sets tokens of its own before the text's.
    """
    if stream.shape[:2] != shape:
        raise ModelError(
            f"{type(model).__name__} computes on {list(stream.shape[:2])} rows and tokens where "
            f"{list(shape)} were put in; what it does at which token cannot be told"
        )


def reduce_vocabulary(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The logarithm of the sum of exponentials, and the maximum, of each row of logits [places, vocabulary].

    In float32 at least. A few rows at a time on the CPU, so that they are still in its cache when read again.
    """
    rows = 16 if logits.device.type == "cpu" else max(1, 2**27 // logits.shape[1])
    norms, peaks = [], []
    for first in range(0, len(logits), rows):
        part = logits[first : first + rows]
        part = part if part.dtype == torch.float64 else part.float()
        peak = part.amax(dim=-1, keepdim=True)
        norms.append((part - peak).exp_().sum(dim=-1).log_() + peak[:, 0])
        peaks.append(peak[:, 0])
    return torch.cat(norms), torch.cat(peaks)


def _is_argmax(logits: Tensor, peaks: Tensor, place: Tensor, token: Tensor) -> Tensor:
    """Whether each token [scored] is the argmax at its place; of several that are as likely, the first is."""
    best = logits[place, token].to(peaks.dtype) == peaks[place]
    best[best.clone()] = logits[place[best]].argmax(dim=-1) == token[best]
    return best


def tree_mask(segment: Tensor, above: Tensor, dtype: torch.dtype) -> Tensor:
    """The additive attention mask of rows that are trees: [rows, 1, tokens, tokens], 0 where one may look.

    A token sees itself and those before it that are of its own segment or of one above; `segment` and `above`
    are those of a batch.
    """
    rows, tokens = segment.shape
    causal = torch.ones(tokens, tokens, dtype=torch.bool, device=segment.device).tril()
    row = torch.arange(rows, device=segment.device)[:, None, None]
    allowed = causal & above[row, segment[:, :, None], segment[:, None, :]]  # [rows, tokens, tokens]
    mask = torch.zeros(allowed.shape, dtype=dtype, device=segment.device)
    return mask.masked_fill_(~allowed, torch.finfo(dtype).min)[:, None]


def _agree(shared: Tensor, apart: Tensor, dtype: torch.dtype) -> bool:
    """Whether log-probabilities differ by rounding only, which half precision does 200 times as coarsely."""
    scale = 200 if dtype in (torch.bfloat16, torch.float16) else 1
    return torch.allclose(shared, apart, atol=scale * 1e-3, rtol=scale * 1e-4)


def best_plan(
    requests: Sequence[Request], model: nn.Module, head: nn.Module, max_length: int, batch_size: int
) -> Plan:
    """A plan that shares contexts, if this model scores its longest shared row as it does the rows apart.

    Not every attention takes a mask of one's own; the model decides, not a list of names.
    """
    shared = make_plan(requests, max_length, batch_size, share=True)
    longest = next((batch for batch in shared.batches if batch.segment is not None), None)
    if longest is None:
        return shared
    in_row = longest.request[longest.rows[longest.place] == 0]
    sample = [requests[i] for i in sorted(set(in_row.tolist()))]
    reason = "its scores differ"
    try:
        together, apart = (
            score(make_plan(sample, max_length, batch_size, share=share), model, head).log_probs
            for share in (True, False)
        )
        if _agree(together, apart, next(model.parameters()).dtype):
            return shared
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        reason = with_type(error)
    log.info("%s cannot share contexts (%s); each choice is run apart", type(model).__name__, reason)
    return make_plan(requests, max_length, batch_size, share=False)
