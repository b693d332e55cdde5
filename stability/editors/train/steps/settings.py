"""The settings that training editors share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stability.editors.plugin.protocol import EditorSettings


class DescentSettings(EditorSettings):
    """Settings of an optimiser over all weights; `betas` are those of adamw and adam."""

    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: float = Field(1e-5, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float | None = Field(None, gt=0)
    num_steps: int = Field(1, ge=1)
