"""ENCORE: MEMIT with early stopping, a limit on the change's norm, and the keys of earlier edits."""

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


class EncoreSettings(SpreadingSettings):
    """Settings of ENCORE; names as in its published configurations, `prob_cutoff` without the minus sign."""

    mom2_update_weight: float = Field(15000.0, gt=0)  # λ
    update_norm_lambda: float = Field(10.0, ge=0)  # λₙ
    prob_cutoff: int | None = Field(4, ge=1)


class Encore(Spreading):
    """Early-stopping and Norm-Constrained Robust Knowledge Editing (Gupta et al. 2025, arXiv 2502.01636).

    Δ = R Kᵀ(λC + λₙI + K_pK_pᵀ + KKᵀ)⁻¹, where K_p are the keys of all earlier edits, measured when those
    were written. The search uses most-probable early stopping: it ends after `prob_cutoff` consecutive steps
    at which every target token is the most probable, after every context and without one. With `early_stop:
    original` it ends as in the authors' code: the steps need not be consecutive, and the prompt without a
    context is left out.
    """

    head = EditorHead(
        "encore",
        "MEMIT with early stopping, a norm constraint and the keys of earlier edits (ENCORE)",
        family="closed form",
        solves_batches=True,
    )
    Settings = EncoreSettings
    settings: EncoreSettings
    remembers = True

    def solver(self, moment: Tensor, store: Store) -> KeySolver:
        """S = (λC + λₙI)⁻¹; the keys of earlier edits are added later."""
        from stability.editors.locate.steps.covariance import CovarianceSolver

        return CovarianceSolver(
            moment,
            self.settings.mom2_ridge,
            self.settings.mom2_update_weight,
            self.settings.update_norm_lambda,
        )
