"""PMET: values for attention and MLP are searched together, and only the MLP is rewritten."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pydantic import Field

from stability.editors.locate.steps.settings import SpreadingSettings
from stability.editors.locate.steps.spreading import Spreading
from stability.parts import EditorHead

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stability.editors.locate.steps.closed_form import KeySolver
    from stability.editors.locate.steps.keys import SubjectReading
    from stability.editors.locate.steps.prompts import EditPrompts
    from stability.editors.locate.steps.values import TargetValues
    from stability.models import ModelMap
    from stability.store import Store


class PmetSettings(SpreadingSettings):
    """Settings of PMET."""

    mom2_update_weight: float = Field(6000.0, gt=0)  # λ
    kl_factor: float = Field(1.0, ge=0)
    sure_nll_factor: float = Field(0.1, ge=0)  # weight of the likelihood once the target is most probable
    sure_stop_kl: float = Field(0.01, ge=0)  # the KL term at which the search then ends


class Pmet(Spreading):
    """Precise Model Editing in a Transformer (Li et al. 2024, arXiv 2308.08742).

    In the last layer one δ is added to the output of attention and another to the output of the MLP. Both are
    optimised together, and the attention's is then dropped. R is the difference between the MLP's value and
    its present output, divided by the square root of the number of layers left, and Δ = R Kᵀ(λC + KKᵀ)⁻¹ as
    in MEMIT. Once the target is the most probable, the likelihood is weighted by a tenth, and the search ends
    if the KL term is small (as in the authors' code).
    """

    head = EditorHead(
        "pmet",
        "MEMIT with the attention's and the MLP's output searched together, the MLP rewritten (PMET)",
        family="closed form",
        solves_batches=True,
    )
    Settings = PmetSettings
    settings: PmetSettings

    def solver(self, moment: Tensor, store: Store) -> KeySolver:
        """S = (λC)⁻¹."""
        from stability.editors.locate.steps.covariance import CovarianceSolver

        return CovarianceSolver(moment, self.settings.mom2_ridge, self.settings.mom2_update_weight)

    def share(self, left: int) -> float:
        """The square root of the number of layers left."""
        return math.sqrt(left)

    def reached(self, reading: SubjectReading) -> Tensor:
        """The present output of the last layer's MLP."""
        return reading.value

    def search(self, model: nn.Module, found: ModelMap, prompts: EditPrompts) -> TargetValues:
        """The values of some edits, searched together with those of the attention."""
        import torch

        from stability.editors.locate.steps.interventions import BlockIntervention, from_subjects
        from stability.editors.locate.steps.sublayers import SUBLAYERS, sublayer_outputs
        from stability.editors.locate.steps.values import SureTargets, TargetValues, optimise_values

        v0, block = sublayer_outputs(model, found, prompts, self.layers[-1])
        intervention = BlockIntervention(from_subjects(block, prompts), prompts.subject_at, SUBLAYERS)
        rule = SureTargets(self.settings.sure_nll_factor, self.settings.sure_stop_kl)
        values = optimise_values(prompts, intervention, v0, self.settings, rule)
        delta = torch.stack([value.delta[1] for value in values])  # [edits, d]
        before = v0[:, 1].to(delta)
        return TargetValues(before, before, before + delta)
