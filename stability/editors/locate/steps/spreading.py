"""Values are searched at the last edited layer, and the change is spread over several layers, as in MEMIT."""

from __future__ import annotations

import json
import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from stability.data.edits import Edit, load_edits
from stability.editors.locate.steps.settings import SpreadingSettings, ValueSettings
from stability.editors.plugin.protocol import BuiltIn
from stability.suite import EditsSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stability.editors.locate.steps.closed_form import KeySolver
    from stability.editors.locate.steps.keys import SubjectReading
    from stability.editors.locate.steps.past_keys import PastKeys
    from stability.editors.locate.steps.prompts import EditPrompts
    from stability.editors.locate.steps.values import TargetValues
    from stability.models import ModelMap, Tokenizer
    from stability.store import Store

log = logging.getLogger(__name__)


class Spreading(BuiltIn):
    """The steps that MEMIT, EMMET, ENCORE, AlphaEdit and PMET share; each defines its own metric.

    For every edit, a δ is searched that makes the target probable when it is added to the residual stream
    after the last of `layers`: Z = h + δ. Then, layer by layer from the lowest: R = (Z - h) / (layers left),
    with h measured again; K are the subjects' keys, half without and half with contexts; and the MLP's output
    matrix W becomes W + Δ with the Δ of `closed_form_change`. All edits of a batch are written together.
    """

    Settings = SpreadingSettings
    settings: SpreadingSettings
    remembers: ClassVar[bool] = False  # whether the keys of earlier edits are part of the metric
    slack: float = 1.0

    def __init__(self, settings: SpreadingSettings) -> None:
        super().__init__(settings)
        self._contexts: tuple[str, ...] = ("",)
        self._solvers: dict[int, KeySolver] = {}
        self._past: dict[int, PastKeys] = {}
        self._norm: float | None = None
        self._value_norms: list[float] = []

    @abstractmethod
    def solver(self, moment: Tensor, store: Store) -> KeySolver:
        """S for the solve, from a layer's C."""

    def share(self, left: int) -> float:
        """The divisor of R if `left` layers are left, this one included."""
        return float(left)

    def reached(self, reading: SubjectReading) -> Tensor:
        """The present state of the edits, [edits, d], which is compared with Z."""
        return reading.stream

    @property
    def layers(self) -> list[int]:
        """The edited layers from the lowest to the highest."""
        return sorted(set(self.settings.layers))

    def prepare(self, model: nn.Module, tokenizer: Tokenizer, store: Store) -> None:
        """Sample the contexts with the harness's seed; get the covariances and the norm anchor."""
        import torch

        from stability.editors.locate.steps.contexts import sample_contexts
        from stability.editors.locate.steps.covariance import stored_second_moments
        from stability.models import map_model
        from stability.models.modes import frozen

        found = map_model(model)
        found.require_unscaled()
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
                self._solvers[layer] = self._layer_solver(found, layer, moments.pop(layer, None), store)
            if self.settings.anchor_samples:
                self._norm = self._stored_norm(model, found, tokenizer, store)

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> None:
        """Write the edits together, in place."""
        import torch

        from stability.editors.locate.steps.closed_form import closed_form_change
        from stability.models import map_model
        from stability.models.modes import frozen

        found = map_model(model)
        with frozen(model):
            batches = self._prompts(model, found, tokenizer, edits, self._contexts)
            searched = [self._at_norm(self.search(model, found, prompts)) for prompts in batches]
            self._value_norms = torch.cat([one.value.norm(dim=-1) for one in searched]).tolist()
            target = torch.cat([one.target for one in searched]).double()  # [edits, d]
            for index, layer in enumerate(self.layers):
                keys, reached = self._read(model, found, batches, layer)
                residuals = (target - reached) / self.share(len(self.layers) - index)  # [edits, d]
                solved = self._solvers[layer].solve(keys)  # [edits, d_key]
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
        """The contexts and the keys of earlier edits; all else is computed again from the unedited model."""
        past = {str(layer): keys.state() for layer, keys in self._past.items()}
        return {"contexts": list(self._contexts), "past": past}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with the contexts and the keys of the state."""
        self._contexts = tuple(state["contexts"])
        for layer, keys in self._past.items():
            keys.load_state(state["past"][str(layer)])

    def search(self, model: nn.Module, found: ModelMap, prompts: EditPrompts) -> TargetValues:
        """The values of some edits, with δ added to the stream after the last layer."""
        import torch

        from stability.editors.locate.steps.interventions import StreamIntervention, from_subjects
        from stability.editors.locate.steps.keys import subject_states
        from stability.editors.locate.steps.values import TargetValues, optimise_values

        states = subject_states(model, found, prompts, self.layers[-1])
        bare = prompts.bare
        before = states.above.hidden[bare, prompts.subject_at[bare]]  # h0, [edits, d]
        above = from_subjects(states.above, prompts)
        intervention = StreamIntervention(above, prompts.subject_at)
        values = optimise_values(prompts, intervention, before[:, None], self.settings)
        delta = torch.cat([value.delta for value in values])  # [edits, d]
        v0 = states.values[bare].to(delta)
        return TargetValues(before.to(delta), v0, v0 + delta)

    def _layer_solver(self, found: ModelMap, layer: int, moment: Tensor | None, store: Store) -> KeySolver:
        import torch

        from stability.editors.locate.steps.past_keys import PastKeys

        matrix = found.matrix(layer, "mlp_out")
        device = found.weight(matrix).device
        if moment is None:
            moment = torch.eye(matrix.d_in, dtype=torch.float64)
        solver = self.solver(moment.to(device), store)
        if not self.remembers:
            return solver
        self._past[layer] = PastKeys(solver)
        return self._past[layer]

    def _prompts(
        self,
        model: nn.Module,
        found: ModelMap,
        tokenizer: Tokenizer,
        edits: Sequence[Edit],
        contexts: Sequence[str],
    ) -> list[EditPrompts]:
        """The prompts, in groups of edits that are searched together."""
        from stability.editors.locate.steps.prompts import build_prompts
        from stability.models import stated_context_length

        limit = stated_context_length(model)
        device = found.weight(found.matrix(self.layers[-1], "mlp_out")).device
        size = self.settings.v_batch
        parts = [edits[start : start + size] for start in range(0, len(edits), size)]
        return [build_prompts(tokenizer, part, contexts, device, limit) for part in parts]

    def _read(
        self, model: nn.Module, found: ModelMap, batches: Sequence[EditPrompts], layer: int
    ) -> tuple[Tensor, Tensor]:
        """The keys at a layer, [edits, d_key], and the present state of the edits, [edits, d], float64."""
        import torch

        from stability.editors.locate.steps.keys import averaged_keys, read_subjects

        readings = [read_subjects(model, found, prompts, layer, self.layers[-1]) for prompts in batches]
        keys = [
            averaged_keys(reading.keys, prompts.contexts)
            for reading, prompts in zip(readings, batches, strict=True)
        ]
        return torch.cat(keys), torch.cat([self.reached(reading).double() for reading in readings])

    def _at_norm(self, targets: TargetValues) -> TargetValues:
        """The same, with values scaled to the norm anchor if there is one."""
        from stability.editors.locate.steps.value_norms import scaled_to_norm
        from stability.editors.locate.steps.values import TargetValues

        if self._norm is None:
            return targets
        return TargetValues(targets.before, targets.v0, scaled_to_norm(targets.value, targets.v0, self._norm))

    def _stored_norm(self, model: nn.Module, found: ModelMap, tokenizer: Tokenizer, store: Store) -> float:
        """The norm anchor of the unedited model, over requests without a context."""
        import torch

        from stability.editors.locate.steps.value_norms import usual_norm
        from stability.models import model_fingerprint, model_name

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
            "requests": [[edit.prompt, edit.subject, edit.target, edit.space] for edit in requests],
            "settings": json.loads(settings.model_dump_json(include=set(ValueSettings.model_fields))),
        }
        stored = store.load(key)
        if stored is None:
            log.info("norm anchor over %d requests", len(requests))
            searched = [
                self.search(model, found, prompts)
                for prompts in self._prompts(model, found, tokenizer, requests, [""])
            ]
            norms = torch.cat([one.value.norm(dim=-1) for one in searched])
            stored = {"norms": norms.double()}
            store.save(key, stored, about=model_name(model))
        return usual_norm(stored["norms"])
