"""FT-L: fine-tuning that may move each weight by so much and no further."""

from __future__ import annotations

from pydantic import Field

from stability.editors.train.ft import FineTuning, FineTuningSettings
from stability.parts import EditorHead


class ConstrainedSettings(FineTuningSettings):
    """Settings of fine-tuning, the constraint among those that have to be given."""

    norm_constraint: float = Field(gt=0)  # ε: how far one weight may move in one batch of edits


class ConstrainedFineTuning(FineTuning):
    """Fine-tuning under ‖W - W₀‖_∞ ≤ ε (Zhu et al. 2020, arXiv 2012.00363, equation 3).

    After every step each weight is put back into the box. W₀ is what stood there before the batch of edits,
    as where the method is compared with others, so a long sequence of edits can go further than ε.
    """

    head = EditorHead(
        "ft_l",
        "fine-tuning of a layer's MLP output matrix, each weight held within a distance (FT-L)",
        family="trained",
    )
    Settings = ConstrainedSettings
    settings: ConstrainedSettings
