"""EMMET: a batch of facts written in one layer, each value reached exactly or nearly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field

from stability.editors.locate.steps.settings import SpreadingSettings
from stability.editors.locate.steps.spreading import Spreading
from stability.editors.plugin.protocol import as_layers
from stability.parts import EditorHead

if TYPE_CHECKING:
    from torch import Tensor

    from stability.editors.locate.steps.closed_form import KeySolver
    from stability.store import Store


class EmmetSettings(SpreadingSettings):
    """Settings of EMMET."""

    layers: Annotated[
        tuple[Annotated[int, Field(ge=0, strict=True)], ...],
        BeforeValidator(as_layers),
        Field(min_length=1, max_length=1),
    ]
    mom2_update_weight: float = Field(1.0, gt=0)  # λ
    emmet_lambda: float = Field(0.1, ge=0)  # ε


class Emmet(Spreading):
    """Equality-constrained Mass Model Editing (Gupta et al. 2024, arXiv 2403.14236).

    Δ = R(KᵀC⁻¹K + εI)⁻¹KᵀC⁻¹, with λC for C. With ε = 0 every value is reached exactly, as in the paper, λ
    has no effect, and one edit is ROME's. The authors' code adds ε = 0.1 to batches of two and more, EasyEdit
    to any batch; here the setting applies to every batch. With ε = 1 the change is MEMIT's in one layer.
    """

    head = EditorHead(
        "emmet",
        "one layer's MLP output matrix, changed so that a batch of facts is hit exactly (EMMET)",
        family="closed form",
        solves_batches=True,
    )
    Settings = EmmetSettings
    settings: EmmetSettings

    def __init__(self, settings: EmmetSettings) -> None:
        super().__init__(settings)
        self.slack = settings.emmet_lambda

    def solver(self, moment: Tensor, store: Store) -> KeySolver:
        """S = (λC)⁻¹."""
        from stability.editors.locate.steps.covariance import CovarianceSolver

        return CovarianceSolver(moment, self.settings.mom2_ridge, self.settings.mom2_update_weight)
