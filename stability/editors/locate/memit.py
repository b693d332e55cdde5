"""MEMIT: many facts at once, written by several layers' MLP output matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from stability.editors.locate.steps.settings import SpreadingSettings
from stability.editors.locate.steps.spreading import Spreading
from stability.parts import EditorHead

if TYPE_CHECKING:
    from torch import Tensor

    from stability.editors.locate.steps.closed_form import KeySolver
    from stability.store import Store


class MemitSettings(SpreadingSettings):
    """Settings of MEMIT."""

    mom2_update_weight: float = Field(15000.0, gt=0)  # λ


class Memit(Spreading):
    """Mass-Editing Memory in a Transformer (Meng et al. 2023, arXiv 2210.07229).

    Δ = R Kᵀ(λC + KKᵀ)⁻¹ for each layer (equation 14).
    """

    head = EditorHead(
        "memit",
        "several layers' MLP output matrices, changed in closed form for a batch of facts (MEMIT)",
        family="closed form",
        solves_batches=True,
    )
    Settings = MemitSettings
    settings: MemitSettings

    def solver(self, moment: Tensor, store: Store) -> KeySolver:
        """S = (λC)⁻¹."""
        from stability.editors.locate.steps.covariance import CovarianceSolver

        return CovarianceSolver(moment, self.settings.mom2_ridge, self.settings.mom2_update_weight)
