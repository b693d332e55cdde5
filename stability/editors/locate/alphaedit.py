"""AlphaEdit: changes that stay in the null space of what text needs."""

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


class AlphaEditSettings(SpreadingSettings):
    """Settings of AlphaEdit; names as in its published configurations."""

    nullspace_threshold: float = Field(0.02, gt=0)  # an eigenvalue of C
    L2: float = Field(10.0, gt=0)


class AlphaEdit(Spreading):
    """Null-space constrained editing (Fang et al. 2025, arXiv 2410.02355).

    Δᵀ = [P(KKᵀ + K_pK_pᵀ) + L2·I]⁻¹ P K Rᵀ with P = U₀U₀ᵀ, where U₀ are the eigenvectors of C with
    eigenvalues below `nullspace_threshold`, and K_p the keys of all earlier edits. (The authors' code
    measures K_p again after writing. The keys of a layer depend neither on its own matrix nor on those above,
    and those below were written before, so they are equal to the keys used for the edit.) `mom2_ridge` has no
    effect.
    """

    head = EditorHead(
        "alphaedit",
        "MEMIT's changes kept in the null space of the keys of text (AlphaEdit)",
        family="closed form",
        solves_batches=True,
    )
    Settings = AlphaEditSettings
    settings: AlphaEditSettings
    remembers = True

    def solver(self, moment: Tensor, store: Store) -> KeySolver:
        """S = P / L2; the keys of earlier edits are added later."""
        from stability.editors.locate.steps.null_space import NullSpace, stored_null_basis

        basis = stored_null_basis(moment, self.settings.nullspace_threshold, store)
        return NullSpace(basis, self.settings.L2)
