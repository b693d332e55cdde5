"""The unedited model's figures: read from the store where they are kept there, else measured and kept."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from stability.errors import MeasurementError, with_type
from stability.metrics import Context, Fitted, Metric, Observation
from stability.models import model_name
from stability.models.identity import identity
from stability.record import Reading
from stability.run.base_keys import BaseKeys
from stability.run.observation import packed, unpacked
from stability.store import Store

log = logging.getLogger(__name__)

JSON = "json"  # the tensor that holds values; those of tensors are PREFIX and their name
PREFIX = "tensor."


class UneditedFigures:
    """What is measured and fitted on an unedited model, one entry of a store for each metric.

    Without a store, and of a model that is not surely as its library made it, all is measured. `seconds` were
    spent on reading, and `read` says what was read.
    """

    def __init__(self, context: Context, store: Store | None) -> None:
        self._context = context
        self._store = store
        self.seconds = 0.0
        self.read: list[str] = []
        with self._reading():
            found = None if store is None else identity(context.model)
            self._keys = None if found is None else BaseKeys(context, found)

    def observe(self) -> Observation:
        """The pass over the text, which is the context's from then on."""
        context = self._context
        if self._store is None or self._keys is None:
            return context.observation
        key = self._keys.of_observation()
        with self._store.alone(key):
            with self._reading():
                kept = self._load(key)
                seen = None if kept is None else unpacked(kept, context)
            if seen is not None:
                self.read.append("observation")
                context.observation = seen
            else:
                self._save(key, packed(context.observation))
        return context.observation

    def fit(self, name: str, metric: Metric, measure: Callable[[], Reading | None]) -> Reading | None:
        """Fit a metric, or let it take over what was kept; its reading where that is known then.

        `measure` takes the reading of the unedited model, None if there is none.

        Raises:
            MeasurementError: what the metric gives to be kept is no JSON.
        """
        if self._store is None or self._keys is None or type(metric).fitted is Metric.fitted:
            metric.fit(self._context)
            return None
        with self._reading():
            key = self._keys.of_metric(name, metric)
        with self._store.alone(key):
            with self._reading():
                reading = self._taken_over(key, metric)
            if reading is not None:
                self.read.append(name)
                return reading
            metric.fit(self._context)
            reading = measure()
            fitted = None if reading is None else metric.fitted()
            if reading is not None and fitted is not None:
                values = {"reading": reading.model_dump_json(), "fitted": fitted.values}
                self._save(key, Fitted(values, fitted.tensors))
        return reading

    def _taken_over(self, key: dict[str, object], metric: Metric) -> Reading | None:
        kept = self._load(key)
        if kept is None or not metric.load_fitted(self._context, Fitted(kept.values["fitted"], kept.tensors)):
            return None
        return Reading.model_validate_json(kept.values["reading"])

    def _load(self, key: dict[str, object]) -> Fitted | None:
        assert self._store is not None
        tensors = self._store.load(key)
        if tensors is None:
            return None
        try:
            values = json.loads(bytes(tensors[JSON].numpy()))
        except (KeyError, ValueError, RecursionError) as error:
            log.warning("%s has another form (%r) and is measured anew", self._store.path(key), error)
            return None
        # Copies, because products may differ by a bit where tensors lie otherwise in memory.
        return Fitted(
            values,
            {name.removeprefix(PREFIX): one.clone() for name, one in tensors.items() if name != JSON},
        )

    def _save(self, key: dict[str, object], fitted: Fitted) -> None:
        assert self._store is not None
        try:
            content = json.dumps(dict(fitted.values)).encode()
        except (TypeError, ValueError) as error:
            message = f"{key['of']}: what it has fitted is no JSON: {with_type(error)}"
            raise MeasurementError(message) from error
        tensors = {f"{PREFIX}{name}": tensor for name, tensor in fitted.tensors.items()}
        tensors[JSON] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        self._store.save(key, tensors, about=model_name(self._context.model))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - started
