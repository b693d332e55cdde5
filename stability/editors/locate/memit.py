"""MEMIT: many facts at once, written by several layers' MLP output matrices."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from stability.editors.locate.steps.closed_form import Metric
from stability.editors.locate.steps.covariance import KeyMetric
from stability.editors.locate.steps.spreading import Spreading, SpreadingSettings
from stability.editors.plugin.store import Store


class MemitSettings(SpreadingSettings):
    """Settings of MEMIT."""

    mom2_update_weight: float = Field(15000.0, gt=0)  # λ


class Memit(Spreading):
    """Mass-Editing Memory in a Transformer (Meng et al. 2023, arXiv 2210.07229).

    Δ = R Kᵀ(λC + KKᵀ)⁻¹ for each layer (equation 14).
    """

    name = "memit"
    summary = "several layers' MLP output matrices, changed in closed form for a batch of facts (MEMIT)"
    Settings = MemitSettings
    settings: MemitSettings

    def metric(self, moment: Tensor, store: Store) -> Metric:
        """S = (λC)⁻¹."""
        return KeyMetric(moment, self.settings.mom2_ridge, self.settings.mom2_update_weight)
