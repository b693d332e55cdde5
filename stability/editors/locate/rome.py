"""ROME: one fact at a time, as a rank-one change of one MLP's output matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from stability.data.edits import Edit
from stability.editors.locate.steps.settings import CovarianceSettings, ValueSettings
from stability.editors.plugin.protocol import BuiltIn, Layers
from stability.parts import EditorHead

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stability.editors.locate.steps.covariance import CovarianceSolver
    from stability.models import ModelMap, Tokenizer
    from stability.store import Store


class RomeSettings(ValueSettings, CovarianceSettings):
    """Settings of ROME; names as in its published configurations where those have one."""

    layers: Layers
    fact_token: Literal["subject_last"] = "subject_last"
    context_template_length_params: tuple[tuple[int, int], ...] = ((5, 10), (10, 10))  # (length, count)
    key: Literal["mended", "original"] = "mended"


class Rome(BuiltIn):
    """Rank-One Model Editing (Meng et al. 2022, arXiv 2202.05262).

    With v* the value that makes the target probable and k* the subject's key, averaged over contexts, the
    matrix W becomes W + (v* - W k - b) (C⁻¹k*)ᵀ / (k·C⁻¹k*). In the metric of C this is the smallest change
    for which W k + b = v* (equation 2). `key: mended` takes k = k* everywhere (R-ROME, Gupta et al. 2024,
    arXiv 2403.07175); `key: original` takes k without a context, as the authors' code did, which can break
    the model with a single edit.
    """

    head = EditorHead(
        "rome",
        "rank-one change of one MLP's output matrix (ROME, with R-ROME's mended keys)",
        family="closed form",
    )
    Settings = RomeSettings
    settings: RomeSettings

    def __init__(self, settings: RomeSettings) -> None:
        super().__init__(settings)
        self._contexts: tuple[str, ...] = ("",)
        self._solvers: dict[int, CovarianceSolver] = {}
        self._value_norms: list[float] = []

    def prepare(self, model: nn.Module, tokenizer: Tokenizer, store: Store) -> None:
        """Sample the contexts with the harness's seed, and get the covariances."""
        import torch

        from stability.editors.locate.steps.contexts import sample_contexts
        from stability.editors.locate.steps.covariance import CovarianceSolver, stored_second_moments
        from stability.models import map_model
        from stability.models.modes import frozen

        found = map_model(model)
        found.require_unscaled()
        for layer in self.settings.layers:
            found.matrix(layer, "mlp_out")
        generator = torch.Generator().manual_seed(torch.initial_seed())
        with frozen(model):
            lengths = self.settings.context_template_length_params
            self._contexts = sample_contexts(model, tokenizer, lengths, generator)
            if self.settings.mom2_adjustment:
                moments = stored_second_moments(
                    model, found, tokenizer, self.settings.layers, self.settings, store
                )
                self._solvers = {
                    layer: CovarianceSolver(moment, self.settings.mom2_ridge)
                    for layer, moment in moments.items()
                }

    def edit(self, model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> None:
        """Make the edits one after another, in place."""
        from stability.models import map_model
        from stability.models.modes import frozen

        found = map_model(model)
        self._value_norms = []
        with frozen(model):
            for edit in edits:
                for layer in sorted(self.settings.layers):
                    change, norm = self._change(model, found, tokenizer, edit, layer)
                    weight = found.weight(found.matrix(layer, "mlp_out"))
                    weight.copy_(weight.double() + change)
                self._value_norms.append(norm)

    def touched(self, found: ModelMap) -> tuple[str, ...]:
        """The MLP output matrices of the layers."""
        return tuple(found.parameter_name(layer, "mlp_out") for layer in self.settings.layers)

    def report(self) -> dict[str, list[float]]:
        """‖v*‖ of each edit of the last call, in the highest layer."""
        return {"value_norm": self._value_norms}

    def state(self) -> dict[str, Any]:
        """The contexts; everything else is computed from the unedited model again."""
        return {"contexts": list(self._contexts)}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with the contexts of the state."""
        self._contexts = tuple(state["contexts"])

    def _change(
        self, model: nn.Module, found: ModelMap, tokenizer: Tokenizer, edit: Edit, layer: int
    ) -> tuple[Tensor, float]:
        """The rank-one change of one layer's matrix, float64 [d_out, d_in]; and ‖v*‖."""
        from stability.editors.locate.steps.closed_form import rank_one_change
        from stability.editors.locate.steps.keys import subject_states
        from stability.editors.locate.steps.prompts import build_prompts
        from stability.editors.locate.steps.values import optimise_value
        from stability.models import stated_context_length

        device = found.weight(found.matrix(layer, "mlp_out")).device
        prompts = build_prompts(tokenizer, edit, self._contexts, device, stated_context_length(model))
        states = subject_states(model, found, prompts, layer)
        v0 = states.values[0]
        target = (v0 + optimise_value(prompts, states.above, v0, self.settings).delta).double()  # v*, [d_out]
        keys, values = states.keys[: prompts.contexts].double(), states.values[: prompts.contexts].double()
        averaged = keys.mean(dim=0)  # k*, [d_in]
        mended = self.settings.key == "mended"
        key, value = (averaged, values.mean(dim=0)) if mended else (keys[0], values[0])
        direction = self._solvers[layer].solve(averaged) if self.settings.mom2_adjustment else averaged
        return rank_one_change(key, direction.to(device), target - value), target.norm().item()
