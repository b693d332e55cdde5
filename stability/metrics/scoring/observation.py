"""One pass of a model over the text: its residual streams, next-token losses and distributions."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from stability.errors import ModelError
from stability.metrics.scoring import check_shape
from stability.metrics.scoring.positions import Places, choose_places
from stability.models import ModelMap, TokenizedText, pad_right
from stability.models.modes import evaluating
from stability.suite import ProbesSpec

KEPT_LOG_PROBABILITIES = 2**26  # places x vocabulary, 256 MiB
LOGITS_AT_ONCE = 2**23
BATCH_TOKENS = 4_096  # padding included


@dataclass(frozen=True)
class Observation:
    """What one model does on the text. On the CPU, in float32 whatever the model computes in.

    The residual stream is taken after each block, before the final norm.
    """

    places: Places = field(repr=False)
    norms: Tensor = field(repr=False)  # [layers, tokens]: L2 norm of the residual stream
    features: Tensor = field(repr=False)  # [layers, features, d]: residual streams at places.features
    nll: Tensor = field(repr=False)  # [predictions]: nats, of the token after each of places.predicting
    log_probabilities: Tensor = field(repr=False)  # [distributions, vocabulary]: nats
    nonfinite_logits: int  # of all predictions


def observe(
    model: nn.Module,
    model_map: ModelMap,
    text: TokenizedText,
    probes: ProbesSpec,
    skip_tokens: int = 1,
) -> Observation:
    """Run the model over the text once, in evaluation mode, and leave it as it was found.

    Documents are batched by length and padded on the right. Hooks on the blocks see each residual stream as
    it goes by; the head is applied to the predicting tokens alone, a few at a time. No random numbers are
    drawn, and the same model gives the same bits again. The first `skip_tokens` tokens of each document give
    no features.

    Raises:
        ModelError: the model does not compute its logits by one call of its output embedding.
    """
    vocabulary, d = model_map.head_shape
    kept = max(1, KEPT_LOG_PROBABILITIES // vocabulary)
    places = choose_places(text, probes.tokens, skip_tokens, kept)
    observation = Observation(
        places=places,
        norms=torch.empty(model_map.n_layers, len(places.ids)),
        features=torch.empty(model_map.n_layers, len(places.features), d),
        nll=torch.empty(len(places.predicting)),
        log_probabilities=torch.empty(len(places.distributions), vocabulary),
        nonfinite_logits=0,
    )
    with evaluating(model), _Pass(model, model_map, observation) as forward:
        nonfinite = sum(forward.run(documents) for documents in places.batches(BATCH_TOKENS))
    return replace(observation, nonfinite_logits=nonfinite)


class _Pass:
    """Hooks that write into an observation while the model runs; removed on exit, whatever happened."""

    def __init__(self, model: nn.Module, model_map: ModelMap, observation: Observation) -> None:
        self._model, self._map, self._to = model, model_map, observation
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

    def __enter__(self) -> _Pass:
        with ExitStack() as stack:
            for layer, block in enumerate(self._map.blocks):
                stack.callback(block.register_forward_hook(self._block_hook(layer)).remove)
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
        device = self._map.device
        self._tokens, self._at, self._hidden = torch.cat(tokens), torch.nonzero(mask.flatten())[:, 0], None
        self._shape, self._running = ids.shape, True
        try:
            self._model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False)
        finally:
            self._running = False
        if self._hidden is None:
            raise ModelError(
                f"{type(self._model).__name__} does not compute its logits by calling its output embedding "
                f"({type(self._map.head).__name__}) on the residual stream; it cannot be observed"
            )
        return self._predict(self._hidden)

    def _block_hook(self, layer: int) -> Any:
        def hook(_module: nn.Module, _args: Any, output: Any) -> None:
            stream = output[0] if isinstance(output, tuple) else output  # [rows, columns, d]
            check_shape(self._model, stream, self._shape)
            stream = stream.flatten(0, 1)[self._at.to(stream.device)]  # [tokens of the batch, d]
            wide = torch.promote_types(stream.dtype, torch.float32)
            norms = torch.linalg.vector_norm(stream, dim=-1, dtype=wide)
            self._to.norms[layer, self._tokens] = norms.to("cpu", torch.float32)
            feature = self._feature[self._tokens]
            chosen = torch.nonzero(feature >= 0)[:, 0]
            self._to.features[layer, feature[chosen]] = stream[chosen.to(stream.device)].to(
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

    def _predict(self, hidden: Tensor) -> int:
        """Losses and distributions from the final hidden states, [rows, columns, d]."""
        prediction = self._prediction[self._tokens]
        chosen = torch.nonzero(prediction >= 0)[:, 0]
        hidden = hidden.flatten(0, 1)[self._at[chosen].to(hidden.device)]  # [predictions, d]
        prediction = prediction[chosen]
        targets = self._to.places.ids[self._tokens[chosen] + 1]
        nonfinite = 0
        rows = max(1, LOGITS_AT_ONCE // self._to.log_probabilities.shape[1])
        for part, which, target in zip(
            *(torch.split(one, rows) for one in (hidden, prediction, targets)), strict=True
        ):
            logits = self._map.logits(part)
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
