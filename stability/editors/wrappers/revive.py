"""REVIVE: a change is kept out of the matrix's dominant singular directions, on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from stability.editors.plugin.protocol import LoadedEditor
from stability.editors.plugin.wrapper import Wrapper, WrapperSettings
from stability.parts import EditorHead, Restraint

if TYPE_CHECKING:
    from torch import Tensor


class ReviveSettings(WrapperSettings):
    """Settings of REVIVE. Its τ has not been published; 0.5 of σ² is our choice."""

    tau: float = Field(0.5, gt=0, lt=1)  # share of the energy that the dominant directions hold
    energy: Literal["squared", "plain"] = "squared"  # σ² or σ
    basis: Literal["base", "current"] = "base"  # the matrix whose directions are spared


class Revive(Wrapper):
    """REVIVE (arXiv 2601.11042): (I - U_k U_kᵀ) ΔW (I - V_k V_kᵀ) instead of ΔW.

    U_k and V_k are W's leading singular vectors, the fewest with more than τ of the energy: components u_iᵀ
    ΔW v_j with i ≤ k or j ≤ k are removed. The part of ΔW outside W's row space is kept; a sum over the
    vectors of the thin decomposition would drop it.
    """

    head = EditorHead(
        "revive",
        "around an editor: keeps its change out of the dominant singular directions (REVIVE)",
        family="wrapper",
        holds_back=Restraint("tau", lambda tau: tau / 2),
    )
    Settings = ReviveSettings
    settings: ReviveSettings

    def __init__(self, settings: ReviveSettings, editor: LoadedEditor) -> None:
        super().__init__(settings, editor)
        self._spared: dict[str, tuple[Tensor, Tensor]] = {}  # U_k and V_k of the base matrices

    def change(self, name: str, weight: Tensor, delta: Tensor) -> Tensor:
        """The change outside the spared directions."""
        if self.settings.basis == "current":
            return outside(*self._dominant(weight), delta)
        if name not in self._spared:  # the first change of this matrix: it is still the base
            self._spared[name] = self._dominant(weight)
        return outside(*self._spared[name], delta)

    def state(self) -> dict[str, Any]:
        """The state of the editor inside, with the spared directions by matrix."""
        return {**super().state(), "spared": {name: list(pair) for name, pair in self._spared.items()}}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with the spared directions of the state."""
        super().load_state(state)
        self._spared = {name: (left, right) for name, (left, right) in state["spared"].items()}

    def _dominant(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        from stability.editors.wrappers.steps.singular import count_for_energy, singular

        found = singular(weight)
        energy = found.values**2 if self.settings.energy == "squared" else found.values
        kept = found.first(count_for_energy(energy, self.settings.tau))
        return kept.left, kept.right


def outside(left: Tensor, right: Tensor, delta: Tensor) -> Tensor:
    """(I - U Uᵀ) Δ (I - V Vᵀ) for U [d_out, k], V [d_in, k] with orthonormal columns; float64."""
    delta = delta.double()
    delta = delta - left @ (left.T @ delta)
    return delta - (delta @ right) @ right.T
