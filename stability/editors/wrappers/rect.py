"""RECT: only the entries with the largest relative change are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from stability.editors.plugin.wrapper import Wrapper, WrapperSettings
from stability.parts import EditorHead, Restraint

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-8


class RectSettings(WrapperSettings):
    """Settings of RECT."""

    kept: float = Field(0.4, gt=0, le=1)  # share of the entries that are changed


class Rect(Wrapper):
    """RECT (Gu et al. 2024, arXiv 2401.04700): ΔW_ij where |ΔW_ij / W_ij| is among the largest, else 0.

    W is the matrix before the batch.
    """

    head = EditorHead(
        "rect",
        "around an editor: keeps only the relatively largest entries of its change (RECT)",
        family="wrapper",
        holds_back=Restraint("kept", lambda kept: min(1.0, 1.5 * kept)),
    )
    Settings = RectSettings
    settings: RectSettings

    def change(self, name: str, weight: Tensor, delta: Tensor) -> Tensor:
        """The change with its relatively smaller entries set to 0."""
        return largest_relative(weight, delta, self.settings.kept)


def largest_relative(weight: Tensor, delta: Tensor, kept: float) -> Tensor:
    """Δ [d_out, d_in] with 0 except in the `kept` share of entries of largest |Δ / (W + 1e-8)|; float64."""
    import torch

    relative = (delta.double() / (weight.double() + EPSILON)).abs().reshape(-1)
    chosen = relative.topk(max(1, round(kept * relative.numel()))).indices
    mask = torch.zeros_like(relative, dtype=torch.bool)
    mask[chosen] = True
    return delta.double() * mask.reshape(delta.shape)
