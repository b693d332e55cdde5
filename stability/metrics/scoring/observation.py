"""One pass of a model over the text: its residual streams, next-token losses and distributions."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from stability.errors import MeasurementError, ModelError
from stability.metrics.scoring import check_shape, returned_logits
from stability.metrics.scoring.positions import Places, choose_places
from stability.models import ModelMap, TokenizedText, pad_right
from stability.models.modes import evaluating
from stability.models.plain import is_plain
from stability.suite import ProbesSpec

KEPT_LOG_PROBABILITIES = 2**26  # places x vocabulary, 256 MiB
LOGITS_AT_ONCE = 2**23
BATCH_TOKENS = 4_096  # padding included
FINE, COARSE = 1e-4, 2e-2  # how far rounding sets logits apart, in full and in half precision


@dataclass(frozen=True)
class Observation:
    """What one model does on the text. On the CPU, in float32 whatever the model computes in.

    The residual stream is taken after each block, before the final norm.
    """

    places: Places = field(repr=False)
    stream_norms: Tensor = field(repr=False)  # [layers, tokens]: L2 norm of the residual stream
    stream_features: Tensor = field(repr=False)  # [layers, features, d]: residual streams at places.features
    nll: Tensor = field(repr=False)  # [predictions]: nats, of the token after each of places.predicting
    log_probabilities: Tensor = field(repr=False)  # [distributions, vocabulary]: nats
    nonfinite_logits: int  # of all predictions
    unobserved: int = 0  # documents for which some block was run not at all, or more than once

    @property
    def norms(self) -> Tensor:
        """The L2 norms of the residual streams, [layers, tokens].

        Raises:
            MeasurementError: some documents were answered by other ways than once through the blocks.
        """
        self._require_streams()
        return self.stream_norms

    @property
    def features(self) -> Tensor:
        """The residual streams at `places.features`, [layers, features, d]; raises as `norms` does."""
        self._require_streams()
        return self.stream_features

    def _require_streams(self) -> None:
        if self.unobserved:
            raise MeasurementError(
                f"{self.unobserved} documents of the text are answered without running each of the model's "
                "blocks once, so that they have no one residual stream",
                kind="structure_changed",
                count=self.unobserved,
            )


def observe(
    model: nn.Module,
    model_map: ModelMap,
    text: TokenizedText,
    probes: ProbesSpec,
    skip_tokens: int = 1,
) -> Observation:
    """Run the model over the text once, in evaluation mode, and leave it as it was found.

    Hooks on the blocks see each residual stream as it goes by. Logits are those that the model returns. What
    an editor has wrapped, hooked or patched is called a document at a time. A plain model gives the same for
    documents in batches, padded on the right, with the head applied to the predicting tokens alone, a few at
    a time; where it does not for the shortest document, the whole forward pass is taken as well. No random
    numbers are drawn, and the same model gives the same bits again. The first `skip_tokens` tokens of each
    document give no features.

    Raises:
        ModelError: the model returns no logits for some token.
    """
    vocabulary, d = model_map.head_shape
    kept = max(1, KEPT_LOG_PROBABILITIES // vocabulary)
    places = choose_places(text, probes.tokens, skip_tokens, kept)
    observation = Observation(
        places=places,
        stream_norms=torch.empty(model_map.n_layers, len(places.ids)),
        stream_features=torch.empty(model_map.n_layers, len(places.features), d),
        nll=torch.empty(len(places.predicting)),
        log_probabilities=torch.empty(len(places.distributions), vocabulary),
        nonfinite_logits=0,
    )
    with evaluating(model):
        short = _may_be_shortened(model, model_map, text)
        with _Pass(model, model_map, observation, short) as forward:
            batches = places.batches(BATCH_TOKENS if short else 1)
            nonfinite = sum(forward.run(documents) for documents in batches)
    return replace(observation, nonfinite_logits=nonfinite, unobserved=forward.unobserved)


def _may_be_shortened(model: nn.Module, model_map: ModelMap, text: TokenizedText) -> bool:
    """Whether the head's logits are what the model returns: a plain model, tried on the shortest document."""
    if not is_plain(model):
        return False
    ids = min((one for one in text.documents if len(one)), key=len)[None]
    hidden: list[Tensor] = []
    hook = model_map.head.register_forward_pre_hook(lambda _module, args: hidden.append(args[0]))
    try:
        returned = returned_logits(model, ids, torch.ones_like(ids))
    finally:
        hook.remove()
    if len(hidden) != 1 or hidden[0].shape[:2] != ids.shape:
        return False
    logits = model_map.logits(hidden[0])
    tolerance = COARSE if logits.dtype in (torch.bfloat16, torch.float16) else FINE
    return torch.allclose(logits, returned, rtol=tolerance, atol=tolerance, equal_nan=True)


class _Pass:
    """Hooks that write into an observation while the model runs; removed on exit, whatever happened."""

    def __init__(self, model: nn.Module, model_map: ModelMap, observation: Observation, short: bool) -> None:
        self._model, self._map, self._to, self._short = model, model_map, observation, short
        self.unobserved = 0
        places = observation.places
        tokens = len(places.ids)
        self._feature = _inverse(places.features, tokens)  # [tokens]: which feature a token is, or -1
        self._prediction = _inverse(places.predicting, tokens)
        self._distribution = _inverse(places.distributions, len(places.predicting))
        self._tokens = torch.empty(0, dtype=torch.int64)  # the batch's tokens, as indices into the text
        self._at = torch.empty(0, dtype=torch.int64)  # where they stand in the batch, its rows end to end
        self._shape = torch.Size()  # of the batch: rows, columns
        self._hidden: Tensor | None = None
        self._running = False
        self._seen: list[int] = []  # the blocks, as they were run

    def __enter__(self) -> _Pass:
        with ExitStack() as stack:
            for layer, block in enumerate(self._map.blocks):
                stack.callback(block.register_forward_hook(self._block_hook(layer)).remove)
            if self._short:
                stack.callback(self._map.head.register_forward_pre_hook(self._head_hook).remove)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, documents: Tensor) -> int:
        """Run these documents as one batch; the number of logits that are not finite."""
        places = self._to.places
        tokens = [torch.nonzero(places.document == document)[:, 0] for document in documents.tolist()]
        ids, mask = pad_right([places.ids[row].tolist() for row in tokens], pad_id=0)
        self._tokens, self._at, self._hidden = torch.cat(tokens), torch.nonzero(mask.flatten())[:, 0], None
        self._shape, self._running = ids.shape, True
        self._seen.clear()
        try:
            if self._short:
                device = self._map.device
                self._model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False)
                found = self._hidden
            else:
                found = returned_logits(self._model, ids, mask)
        finally:
            self._running = False
        if found is None:
            raise ModelError(
                f"{type(self._model).__name__} does not compute its logits by calling its output embedding "
                f"({type(self._map.head).__name__}) on the residual stream; it cannot be observed"
            )
        self.unobserved += len(documents) * (sorted(self._seen) != list(range(self._map.n_layers)))
        return self._predict(found)

    def _block_hook(self, layer: int) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            if not self._running:
                return
            stream = output[0] if isinstance(output, tuple) else output  # [rows, columns, d]
            if self._short:
                check_shape(self._model, stream, self._shape)
            elif stream.shape[:2] != self._shape:
                return  # asked about something else than the text
            self._seen.append(layer)
            stream = stream.flatten(0, 1)[self._at.to(stream.device)]  # [tokens of the batch, d]
            wide = torch.promote_types(stream.dtype, torch.float32)
            norms = torch.linalg.vector_norm(stream, dim=-1, dtype=wide)
            self._to.stream_norms[layer, self._tokens] = norms.to("cpu", torch.float32)
            feature = self._feature[self._tokens]
            chosen = torch.nonzero(feature >= 0)[:, 0]
            self._to.stream_features[layer, feature[chosen]] = stream[chosen.to(stream.device)].to(
                "cpu", torch.float32
            )

        return hook

    def _head_hook(self, _module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Keep what the head is given and let it work on no token at all."""
        if not self._running or not args:
            return None
        self._hidden = args[0]
        check_shape(self._model, args[0], self._shape)
        return (args[0][:, :0], *args[1:])

    def _predict(self, found: Tensor) -> int:
        """Losses and distributions from the final hidden states, or from logits: [rows, columns, ...]."""
        prediction = self._prediction[self._tokens]
        chosen = torch.nonzero(prediction >= 0)[:, 0]
        found = found.flatten(0, 1)[self._at[chosen].to(found.device)]  # [predictions, ...]
        prediction = prediction[chosen]
        targets = self._to.places.ids[self._tokens[chosen] + 1]
        nonfinite = 0
        rows = max(1, LOGITS_AT_ONCE // self._to.log_probabilities.shape[1])
        for part, which, target in zip(
            *(torch.split(one, rows) for one in (found, prediction, targets)), strict=True
        ):
            logits = self._map.logits(part) if self._short else part
            logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # [rows, vocabulary]
            nonfinite += int((~torch.isfinite(logits)).sum())
            total = logits.logsumexp(dim=-1)
            hit = logits.gather(1, target.to(logits.device)[:, None])[:, 0]
            self._to.nll[which] = (total - hit).to("cpu", torch.float32)
            slot = self._distribution[which]
            taken = torch.nonzero(slot >= 0)[:, 0]
            at = taken.to(logits.device)
            self._to.log_probabilities[slot[taken]] = (logits[at] - total[at, None]).to("cpu", torch.float32)
        return nonfinite


def _inverse(chosen: Tensor, n: int) -> Tensor:
    """[n]: the place of each index in `chosen`, or -1."""
    inverse = torch.full((n,), -1)
    inverse[chosen] = torch.arange(len(chosen))
    return inverse
