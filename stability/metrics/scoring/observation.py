"""One pass of a model over the text: its residual streams, next-token losses and distributions."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from stability.errors import MeasurementError, ModelError
from stability.metrics.scoring import check_shape, returned_logits
from stability.metrics.scoring.positions import Places, choose_places
from stability.metrics.scoring.reference import (
    Comparison,
    Keeper,
    OutputHead,
    Reference,
    inverse,
    same_logits,
)
from stability.models import ModelMap, Snapshot, TokenizedText, pad_right
from stability.models.modes import evaluating
from stability.models.plain import is_plain
from stability.suite import ProbesSpec

LOGITS_AT_ONCE = 2**23
BATCH_TOKENS = 4_096  # padding included


@dataclass(frozen=True)
class Observation:
    """What one model does on the text. On the CPU, in float32 whatever the model computes in.

    The residual stream is taken after each block, before the final norm.
    """

    places: Places = field(repr=False)
    stream_norms: Tensor = field(repr=False)  # [layers, tokens]: L2 norm of the residual stream
    stream_features: Tensor = field(repr=False)  # [layers, features, d]: residual streams at places.features
    nll: Tensor = field(repr=False)  # [predictions]: nats, of the token after each of places.predicting
    divergences: Tensor = field(repr=False)  # [positions]: KL(unedited ‖ this) at reference.at, in nats
    reference: Reference = field(repr=False)  # the unedited model's distributions
    nonfinite_logits: int  # of all predictions
    unobserved: int = 0  # windows for which some block was run not at all, or more than once

    @property
    def norms(self) -> Tensor:
        """The L2 norms of the residual streams, [layers, tokens].

        Raises:
            MeasurementError: some windows were answered by other ways than once through the blocks.
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
                f"{self.unobserved} windows of the text are answered without running each of the model's "
                "blocks once, so that they have no one residual stream",
                kind="structure_changed",
                count=self.unobserved,
            )


def observe(
    model: nn.Module,
    model_map: ModelMap,
    snapshot: Snapshot,
    text: TokenizedText,
    probes: ProbesSpec,
    skip_tokens: int = 1,
    base: Observation | None = None,
) -> Observation:
    """Run the model over the text once, in evaluation mode, and leave it as it was found.

    Hooks on the blocks see each residual stream as it goes by. Logits are those that the model returns. What
    an editor has wrapped, hooked or patched is called a window at a time. A plain model gives the same for
    windows in batches, padded on the right, with the head applied to the predicting tokens alone, a few at
    a time; where it does not for the shortest window, the whole forward pass is taken as well. No random
    numbers are drawn, and the same model gives the same bits again. The first `skip_tokens` tokens of each
    window give no features. Without `base` the model is the unedited one, that of the snapshot.

    Raises:
        ModelError: the model returns no logits for some token.
    """
    places = choose_places(text, probes.tokens, skip_tokens)
    with evaluating(model):
        short = _may_be_shortened(model, model_map, text)
        against = (
            Keeper(
                OutputHead.of(model, model_map, snapshot), len(places.predicting), model_map, verify=not short
            )
            if base is None
            else Comparison(base.reference, len(places.predicting), model_map.device)
        )
        with _Pass(model, model_map, places, short, against) as forward:
            for windows in places.batches(BATCH_TOKENS if short else 1):
                forward.run(windows)
    return forward.observation()


def _may_be_shortened(model: nn.Module, model_map: ModelMap, text: TokenizedText) -> bool:
    """Whether the head's logits are what the model returns: a plain model, tried on the shortest window."""
    if not is_plain(model):
        return False
    ids = min((one for one in text.windows if len(one)), key=len)[None]
    hidden: list[Tensor] = []
    hook = model_map.head.register_forward_pre_hook(lambda _module, args: hidden.append(args[0]))
    try:
        returned = returned_logits(model, ids, torch.ones_like(ids))
    finally:
        hook.remove()
    if len(hidden) != 1 or hidden[0].shape[:2] != ids.shape:
        return False
    return same_logits(model_map.logits(hidden[0]), returned)


class _Pass:
    """Hooks that take down what is observed while the model runs; removed on exit, whatever happened."""

    def __init__(
        self,
        model: nn.Module,
        model_map: ModelMap,
        places: Places,
        short: bool,
        against: Keeper | Comparison,
    ) -> None:
        self._model, self._map, self._places, self._short = model, model_map, places, short
        self._against = against
        tokens, (vocabulary, d) = len(places.ids), model_map.head_shape
        self._norms = torch.empty(model_map.n_layers, tokens)
        self._features = torch.empty(model_map.n_layers, len(places.features), d)
        self._nll = torch.empty(len(places.predicting))
        self._nonfinite = self._unobserved = 0
        self._rows = max(1, LOGITS_AT_ONCE // vocabulary)
        self._feature = inverse(places.features, tokens)  # [tokens]: which feature a token is, or -1
        self._prediction = inverse(places.predicting, tokens)
        self._tokens = torch.empty(0, dtype=torch.int64)  # the batch's tokens, as indices into the text
        self._at = torch.empty(0, dtype=torch.int64)  # where they stand in the batch, its rows end to end
        self._shape = torch.Size()  # of the batch: rows, columns
        self._given: list[Tensor] = []  # what the head was given, each time that it was called
        self._running = False
        self._seen: list[int] = []  # the blocks, as they were run

    def __enter__(self) -> _Pass:
        with ExitStack() as stack:
            for layer, block in enumerate(self._map.blocks):
                stack.callback(block.register_forward_hook(self._block_hook(layer)).remove)
            stack.callback(self._map.head.register_forward_pre_hook(self._head_hook).remove)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def observation(self) -> Observation:
        """All that was seen."""
        return Observation(
            places=self._places,
            stream_norms=self._norms,
            stream_features=self._features,
            nll=self._nll,
            divergences=self._against.divergences,
            reference=self._against.reference,
            nonfinite_logits=self._nonfinite,
            unobserved=self._unobserved,
        )

    def run(self, windows: Tensor) -> None:
        """Run these windows as one batch."""
        places = self._places
        tokens = [torch.nonzero(places.window == window)[:, 0] for window in windows.tolist()]
        ids, mask = pad_right([places.ids[row].tolist() for row in tokens], pad_id=0)
        self._tokens, self._at = torch.cat(tokens), torch.nonzero(mask.flatten())[:, 0]
        self._shape, self._running = ids.shape, True
        self._seen.clear()
        self._given.clear()
        returned: Tensor | None = None
        try:
            if self._short:
                device = self._map.device
                self._model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False)
            else:
                returned = returned_logits(self._model, ids, mask)
        finally:
            self._running = False
        hidden = self._given[0] if len(self._given) == 1 else None
        if hidden is None and returned is None:
            raise ModelError(
                f"{type(self._model).__name__} does not compute its logits by one call of its output "
                f"embedding ({type(self._map.head).__name__}) on the residual stream; it cannot be observed"
            )
        if sorted(self._seen) != list(range(self._map.n_layers)):
            self._unobserved += len(windows)
        self._predict(hidden, returned)

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
            self._norms[layer, self._tokens] = norms.to("cpu", torch.float32)
            feature = self._feature[self._tokens]
            chosen = torch.nonzero(feature >= 0)[:, 0]
            self._features[layer, feature[chosen]] = stream[chosen.to(stream.device)].to("cpu", torch.float32)

        return hook

    def _head_hook(self, _module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Take down what the head is given; where logits are made later, it works on no token at all."""
        if not self._running or not args:
            return None
        self._given.append(args[0])
        if not self._short:
            return None
        check_shape(self._model, args[0], self._shape)
        return (args[0][:, :0], *args[1:])

    def _predict(self, hidden: Tensor | None, returned: Tensor | None) -> None:
        """Losses and distributions.

        `hidden`, [rows, columns, d], is what the head was given, None if it was not called once; `returned`,
        [rows, columns, vocabulary], are the logits that the model returned, None if they are yet to be made.
        """
        prediction = self._prediction[self._tokens]
        chosen = torch.nonzero(prediction >= 0)[:, 0]
        at = self._at[chosen]
        targets = self._places.ids[self._tokens[chosen] + 1]
        for place, which, target in zip(
            *(torch.split(one, self._rows) for one in (at, prediction[chosen], targets)), strict=True
        ):
            given = self._at_places(hidden, place)  # [rows, d]
            logits = self._at_places(returned, place)  # [rows, vocabulary]
            if logits is None:
                assert given is not None  # seen to by `run`
                logits = self._map.logits(given)
            wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
            self._nonfinite += int((~torch.isfinite(wide)).sum())
            log_q = wide.log_softmax(-1)
            hit = log_q.gather(1, target.to(log_q.device)[:, None])[:, 0]
            self._nll[which] = -hit.to("cpu", torch.float32)
            self._against.take(which, given, logits, log_q)

    def _at_places(self, found: Tensor | None, place: Tensor) -> Tensor | None:
        """What there is at some places of the batch, its rows end to end; None if it is of another shape."""
        if found is None or found.shape[:2] != self._shape:
            return None
        return found.flatten(0, 1)[place.to(found.device)]
