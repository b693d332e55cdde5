"""PMET: what attention and MLP should write is searched together, and only the MLP is rewritten."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from stability.editors.locate.steps.closed_form import Metric
from stability.editors.locate.steps.covariance import KeyMetric
from stability.editors.locate.steps.interventions import BlockPush
from stability.editors.locate.steps.keys import Reading
from stability.editors.locate.steps.prompts import EditPrompts
from stability.editors.locate.steps.spreading import Spreading, SpreadingSettings, Wanted
from stability.editors.locate.steps.values import Ease, optimise_values
from stability.editors.plugin.store import Store
from stability.models import Continuation, ModelMap, suspend
from stability.record.schema import MatrixKind

PLACES: tuple[MatrixKind, ...] = ("attn_out", "mlp_out")


class PmetSettings(SpreadingSettings):
    """Settings of PMET."""

    mom2_update_weight: float = Field(6000.0, gt=0)  # λ
    kl_factor: float = Field(1.0, ge=0)
    sure_nll_factor: float = Field(0.1, ge=0)  # weight of the likelihood once the target is most probable
    sure_stop_kl: float = Field(0.01, ge=0)  # the KL term at which the search then ends


class Pmet(Spreading):
    """Precise Model Editing in a Transformer (Li et al. 2024, arXiv 2308.08742).

    In the last layer one δ is added to what attention writes and another to what the MLP writes, both learnt
    together; the attention's is then dropped. R is what the MLP's output lacks of its value, divided by the
    square root of the number of layers left, and Δ = R Kᵀ(λC + KKᵀ)⁻¹ as in MEMIT. Once the target is the
    most probable, the likelihood counts a tenth, and the search ends if the KL term is small (as in the
    authors' code).
    """

    name = "pmet"
    summary = "MEMIT with the attention's and the MLP's output searched together, the MLP rewritten (PMET)"
    Settings = PmetSettings
    settings: PmetSettings

    def metric(self, moment: Tensor, store: Store) -> Metric:
        """S = (λC)⁻¹."""
        return KeyMetric(moment, self.settings.mom2_ridge, self.settings.mom2_update_weight)

    def share(self, left: int) -> float:
        """The square root of the number of layers left."""
        return math.sqrt(left)

    def reached(self, reading: Reading) -> Tensor:
        """What the last layer's MLP writes."""
        return reading.value

    def search(self, model: nn.Module, found: ModelMap, prompts: EditPrompts) -> Wanted:
        """The values of some edits, searched together with those of the attention."""
        v0, block = written(model, found, prompts, self.layers[-1])
        push = BlockPush(block, prompts.subject_at, PLACES)
        ease = Ease(self.settings.sure_nll_factor, self.settings.sure_stop_kl)
        values = optimise_values(prompts, push, v0, self.settings, ease)
        delta = torch.stack([value.delta[1] for value in values])  # [edits, d]
        before = v0[:, 1].to(delta)
        return Wanted(before, before, before + delta)


def written(
    model: nn.Module, found: ModelMap, prompts: EditPrompts, layer: int
) -> tuple[Tensor, Continuation]:
    """What attention and MLP of a block write at the subjects without a context, [edits, 2, d]; and the pass
    as it stands before the block."""
    seen: dict[str, Tensor] = {}
    bare = prompts.bare

    def keep(kind: MatrixKind) -> Any:
        def hook(_module: nn.Module, _args: object, output: Tensor) -> None:
            seen[kind] = output[bare, prompts.subject_at[bare]]

        return hook

    with ExitStack() as stack:
        for kind in PLACES:
            stack.callback(found.module(layer, kind).register_forward_hook(keep(kind)).remove)
        block = suspend(model, found, prompts.input_ids, prompts.attention_mask, layer)
    return torch.stack([seen[kind] for kind in PLACES], dim=1), block
