"""Values searched at the last edited layer, and what is missing there written by several, as MEMIT does."""

from __future__ import annotations

import json
import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from stability.data.edits import Edit, load_edits
from stability.editors.locate.steps.closed_form import Metric, closed_form_change
from stability.editors.locate.steps.contexts import sample_contexts
from stability.editors.locate.steps.covariance import CovarianceSettings, stored_second_moments
from stability.editors.locate.steps.interventions import StreamPush
from stability.editors.locate.steps.keys import Reading, averaged_keys, read_subjects, subject_states
from stability.editors.locate.steps.past_keys import PastKeys
from stability.editors.locate.steps.prompts import EditPrompts, build_prompts
from stability.editors.locate.steps.value_norms import anchor_of, anchored
from stability.editors.locate.steps.values import ValueSettings, optimise_values
from stability.editors.plugin.protocol import BuiltIn, Layers
from stability.editors.plugin.store import Store
from stability.models import ModelMap, map_model, model_fingerprint
from stability.models.modes import frozen
from stability.suite import EditsSpec

log = logging.getLogger(__name__)


class SpreadingSettings(ValueSettings, CovarianceSettings):
    """Settings that the family shares; names as in MEMIT's published configurations where those have one."""

    layers: Layers
    fact_token: Literal["subject_last"] = "subject_last"
    context_template_length_params: tuple[tuple[int, int], ...] = ((10, 5),)  # (length, count)
    clamp_norm_factor: float = Field(0.75, gt=0)
    v_batch: int = Field(16, ge=1)  # edits whose values are searched side by side
    anchor_samples: int = Field(0, ge=0)  # requests that the norm anchor is taken from; 0 for no anchor
    anchor_source: str = "counterfact"
    anchor_path: str | None = None  # a file of edits, in place of a named source
    anchor_seed: int = 0


@dataclass(frozen=True)
class Wanted:
    """What was found for each edit: what the last layer's MLP writes at its subject, and what it should."""

    before: Tensor  # [edits, d]: what `reached` reads of the unedited model
    v0: Tensor  # [edits, d]
    value: Tensor  # [edits, d]: v*

    @property
    def target(self) -> Tensor:
        """Z, [edits, d]."""
        return self.before + self.value - self.v0


class Spreading(BuiltIn):
    """The steps that MEMIT, EMMET, ENCORE, AlphaEdit and PMET share; each says what its change is charged by.

    For every edit a δ is searched that makes the target probable when added to the residual stream after the
    last of `layers`: Z = h + δ. Then layer after layer, from the lowest: R = (Z - h) / (layers left), h
    measured anew; K the subjects' keys, half without and half behind contexts; and the MLP's output matrix W
    becomes W + Δ with Δ of `closed_form_change`. All edits of a batch are written together.
    """

    Settings = SpreadingSettings
    settings: SpreadingSettings
    remembers: ClassVar[bool] = False  # whether the keys of earlier edits are charged for
    slack: float = 1.0

    def __init__(self, settings: SpreadingSettings) -> None:
        super().__init__(settings)
        self._contexts: tuple[str, ...] = ("",)
        self._metrics: dict[int, Metric] = {}
        self._past: dict[int, PastKeys] = {}
        self._anchor: float | None = None
        self._value_norms: list[float] = []

    @abstractmethod
    def metric(self, moment: Tensor, store: Store) -> Metric:
        """S for the solve, from a layer's C."""

    def share(self, left: int) -> float:
        """What R is divided by with so many layers left, this one among them."""
        return float(left)

    def reached(self, reading: Reading) -> Tensor:
        """Where the edits stand now, [edits, d]: what Z is held against."""
        return reading.stream

    @property
    def layers(self) -> list[int]:
        """The edited layers from the lowest to the highest."""
        return sorted(set(self.settings.layers))

    def prepare(self, model: nn.Module, tokenizer: Any, store: Store) -> None:
        """Sample the contexts, with the seed that the harness has set; get the covariances and the anchor."""
        found = map_model(model)
        for layer in self.layers:
            found.matrix(layer, "mlp_out")
        generator = torch.Generator().manual_seed(torch.initial_seed())
        with frozen(model):
            lengths = self.settings.context_template_length_params
            self._contexts = sample_contexts(model, tokenizer, lengths, generator)
            moments: dict[int, Tensor] = {}
            if self.settings.mom2_adjustment:
                moments = stored_second_moments(model, found, tokenizer, self.layers, self.settings, store)
            for layer in self.layers:
                self._metrics[layer] = self._layer_metric(found, layer, moments.pop(layer, None), store)
            if self.settings.anchor_samples:
                self._anchor = self._stored_anchor(model, found, tokenizer, store)

    def edit(self, model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        """Write the edits together, in place."""
        found = map_model(model)
        with frozen(model):
            batches = self._prompts(found, tokenizer, edits, self._contexts)
            wanted = [self._anchored(self.search(model, found, prompts)) for prompts in batches]
            self._value_norms = torch.cat([one.value.norm(dim=-1) for one in wanted]).tolist()
            target = torch.cat([one.target for one in wanted]).double()  # [edits, d]
            for index, layer in enumerate(self.layers):
                keys, reached = self._read(model, found, batches, layer)
                residuals = (target - reached) / self.share(len(self.layers) - index)  # [edits, d]
                solved = self._metrics[layer].solve(keys)  # [edits, d_key]
                change = closed_form_change(residuals, keys, solved, self.slack)
                weight = found.weight(found.matrix(layer, "mlp_out"))
                weight.copy_(weight.double() + change.to(weight.device))
                if self.remembers:
                    self._past[layer].add(keys)

    def touched(self, found: ModelMap) -> tuple[str, ...]:
        """The MLP output matrices of the layers."""
        return tuple(found.parameter_name(layer, "mlp_out") for layer in self.layers)

    def report(self) -> dict[str, list[float]]:
        """‖v*‖ of each edit of the last call."""
        return {"value_norm": self._value_norms}

    def state(self) -> dict[str, Any]:
        """The contexts and the keys of earlier edits; all else is computed from the unedited model again."""
        past = {str(layer): keys.state() for layer, keys in self._past.items()}
        return {"contexts": list(self._contexts), "past": past}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on with the contexts and the keys of the state."""
        self._contexts = tuple(state["contexts"])
        for layer, keys in self._past.items():
            keys.load_state(state["past"][str(layer)])

    def search(self, model: nn.Module, found: ModelMap, prompts: EditPrompts) -> Wanted:
        """The values of some edits, δ being added to the stream after the last layer."""
        states = subject_states(model, found, prompts, self.layers[-1])
        bare = prompts.bare
        before = states.above.hidden[bare, prompts.subject_at[bare]]  # h0, [edits, d]
        push = StreamPush(states.above, prompts.subject_at)
        values = optimise_values(prompts, push, before[:, None], self.settings)
        delta = torch.cat([value.delta for value in values])  # [edits, d]
        v0 = states.values[bare].to(delta)
        return Wanted(before.to(delta), v0, v0 + delta)

    def _layer_metric(self, found: ModelMap, layer: int, moment: Tensor | None, store: Store) -> Metric:
        matrix = found.matrix(layer, "mlp_out")
        device = found.weight(matrix).device
        if moment is None:
            moment = torch.eye(matrix.d_in, dtype=torch.float64)
        metric = self.metric(moment.to(device), store)
        if not self.remembers:
            return metric
        self._past[layer] = PastKeys(metric)
        return self._past[layer]

    def _prompts(
        self, found: ModelMap, tokenizer: Any, edits: Sequence[Edit], contexts: Sequence[str]
    ) -> list[EditPrompts]:
        """The edits, so many at a time as are searched together."""
        device = found.weight(found.matrix(self.layers[-1], "mlp_out")).device
        size = self.settings.v_batch
        parts = [edits[start : start + size] for start in range(0, len(edits), size)]
        return [build_prompts(tokenizer, part, contexts, device) for part in parts]

    def _read(
        self, model: nn.Module, found: ModelMap, batches: Sequence[EditPrompts], layer: int
    ) -> tuple[Tensor, Tensor]:
        """The keys at a layer, [edits, d_key], and where the edits stand, [edits, d], float64."""
        readings = [read_subjects(model, found, prompts, layer, self.layers[-1]) for prompts in batches]
        keys = [
            averaged_keys(reading.keys, prompts.contexts)
            for reading, prompts in zip(readings, batches, strict=True)
        ]
        return torch.cat(keys), torch.cat([self.reached(reading).double() for reading in readings])

    def _anchored(self, wanted: Wanted) -> Wanted:
        if self._anchor is None:
            return wanted
        return Wanted(wanted.before, wanted.v0, anchored(wanted.value, wanted.v0, self._anchor))

    def _stored_anchor(self, model: nn.Module, found: ModelMap, tokenizer: Any, store: Store) -> float:
        """The norm anchor of the unedited model, over requests stated without a context."""
        settings = self.settings
        spec = EditsSpec(
            source=settings.anchor_source, path=settings.anchor_path, count=settings.anchor_samples
        )
        requests = load_edits(spec, settings.anchor_seed)
        key = {
            "what": "norm anchor",
            "editor": self.name,
            "layer": self.layers[-1],
            "weights": model_fingerprint(model),
            "requests": [[edit.prompt, edit.subject, edit.target] for edit in requests],
            "settings": json.loads(settings.model_dump_json(include=set(ValueSettings.model_fields))),
        }
        stored = store.load(key)
        if stored is None:
            log.info("norm anchor over %d requests", len(requests))
            wanted = [
                self.search(model, found, prompts)
                for prompts in self._prompts(found, tokenizer, requests, [""])
            ]
            norms = torch.cat([one.value.norm(dim=-1) for one in wanted])
            stored = {"norms": norms.double()}
            store.save(key, stored)
        return anchor_of(stored["norms"])
