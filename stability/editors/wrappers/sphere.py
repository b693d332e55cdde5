"""SPHERE: the part of a change in the matrix's own principal directions is removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from stability.editors.plugin.wrapper import Wrapper, WrapperSettings
from stability.parts import EditorHead, Restraint

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-8


class SphereSettings(WrapperSettings):
    """Settings of SPHERE; the published α is 0.5 for AlphaEdit and 0.8 for MEMIT, RECT and PRUNE."""

    eta: float = Field(0.5, gt=0, lt=1)  # share of the variance that the principal directions hold
    alpha: float = Field(0.8, ge=0, le=1)  # the share of the change along them that is removed


class Sphere(Wrapper):
    """SPHERE (arXiv 2510.01172): ΔW (I - α U Uᵀ) instead of ΔW.

    The neurons are the rows of W [d_out, d_in]. With Ŵ the rows at unit length, U [d_in, r] are the leading
    eigenvectors of ŴᵀŴ / d_out, the fewest with more than η of the variance. W is the matrix before the
    batch. Rows are normalised as in the authors' code.
    """

    head = EditorHead(
        "sphere",
        "around an editor: keeps its change out of the matrix's principal directions (SPHERE)",
        family="wrapper",
        holds_back=Restraint("alpha", lambda alpha: alpha / 2),
    )
    Settings = SphereSettings
    settings: SphereSettings

    def change(self, name: str, weight: Tensor, delta: Tensor) -> Tensor:
        """The change without its part in the principal directions."""
        return away_from_principal(weight, delta, self.settings.eta, self.settings.alpha)


def away_from_principal(weight: Tensor, delta: Tensor, eta: float, alpha: float) -> Tensor:
    """ΔW (I - α U Uᵀ), float64 [d_out, d_in]."""
    from stability.editors.wrappers.steps.singular import count_for_energy, singular

    rows = weight.double()
    rows = rows / (rows.norm(dim=1, keepdim=True) + EPSILON)
    found = singular(rows)
    principal = found.first(count_for_energy(found.values**2, eta)).right  # [d_in, r]
    delta = delta.double()
    return delta - alpha * (delta @ principal) @ principal.T
