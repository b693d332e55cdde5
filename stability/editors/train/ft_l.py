"""FT-L: fine-tuning with a limit on the change of each weight."""

from __future__ import annotations

from pydantic import Field

from stability.editors.train.ft import FineTuning, FineTuningSettings
from stability.parts import EditorHead


class ConstrainedSettings(FineTuningSettings):
    """Settings of fine-tuning, with the constraint required."""

    norm_constraint: float = Field(gt=0)  # ε: the largest change of one weight in one batch of edits


class ConstrainedFineTuning(FineTuning):
    """Fine-tuning under ‖W - W₀‖_∞ ≤ ε (Zhu et al. 2020, arXiv 2012.00363, equation 3).

    After every step each weight is clipped to the allowed range. W₀ is the matrix before the batch of edits,
    as in published comparisons, so a long sequence of edits can change a weight by more than ε.
    """

    head = EditorHead(
        "ft_l",
        "fine-tuning of a layer's MLP output matrix, each weight held within a distance (FT-L)",
        family="trained",
    )
    Settings = ConstrainedSettings
    settings: ConstrainedSettings
