"""The edits that a run makes, by seed: of those of its source, all or those that the unedited model knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from stability.data.edits import Edit, load_stream
from stability.errors import DataError
from stability.metrics import refuse_too_long
from stability.metrics.scoring.known import known_first
from stability.models import LoadedModel, model_name
from stability.models.identity import identity
from stability.models.modes import evaluating, random_state
from stability.run.base_keys import of_model
from stability.run.listener import Listener
from stability.run.points.fit import stream_fingerprint
from stability.store import Store
from stability.suite import EditsSpec
from stability.suite.schema import RunSpec

KEPT = "known"  # the tensor that holds the places of the facts that are known, in their stream


@dataclass(frozen=True)
class Streams:
    """The edits by seed and, by seed, how many facts the model does not know and were passed over."""

    edits: Mapping[int, tuple[Edit, ...]]
    passed_over: Mapping[int, int] = field(default_factory=dict)


def load_streams(spec: RunSpec, loaded: LoadedModel, store: Store, listener: Listener) -> Streams:
    """The edits of every seed. Which facts a model knows is kept in the store.

    Raises:
        DataError: there are too few edits, or one is too long for the model.
        MeasurementError: the model cannot be asked.
    """
    whole = {seed: load_stream(spec.edits, seed) for seed in spec.seeds}
    if not spec.edits.known:
        edits = {seed: stream[: spec.edits.count] for seed, stream in whole.items()}
        passed_over: dict[int, int] = {}
    else:
        listener.stage("unedited model: which facts it knows")
        places = {seed: _known(stream, spec.edits, loaded, store) for seed, stream in whole.items()}
        edits = {seed: tuple(whole[seed][place] for place in found) for seed, found in places.items()}
        passed_over = {seed: found[-1] + 1 - len(found) for seed, found in places.items()}
    for chosen in edits.values():
        refuse_too_long(loaded.model, loaded.tokenizer, chosen)
    return Streams(edits, passed_over)


def _known(stream: Sequence[Edit], spec: EditsSpec, loaded: LoadedModel, store: Store) -> list[int]:
    """The places in the stream of the first so many facts that the model knows."""
    model, tokenizer = loaded.model, loaded.tokenizer
    found = identity(model)
    if found is None:
        return _asked(stream, spec, loaded)
    key = {
        **of_model(tokenizer, found),
        "of": "known facts",
        "stream": stream_fingerprint(stream),
        "count": spec.count,
    }
    with store.alone(key):
        kept = store.load(key)
        if kept is not None and KEPT in kept:
            return [int(place) for place in kept[KEPT].tolist()]
        places = _asked(stream, spec, loaded)
        store.save(key, {KEPT: torch.tensor(places)}, about=model_name(model))
    return places


def _asked(stream: Sequence[Edit], spec: EditsSpec, loaded: LoadedModel) -> list[int]:
    with evaluating(loaded.model), random_state():
        places = known_first(loaded.model, loaded.tokenizer, stream, spec.count)
    if len(places) < spec.count:
        raise DataError(
            f"edits {spec.path or spec.source!r}: of {len(stream)} facts the model knows {len(places)}, "
            f"the run asks for {spec.count}; lower run.edits.count, or leave out run.edits.known"
        )
    return places
