"""NAS: AlphaEdit whose values all get the norm that values have in the unedited model."""

from __future__ import annotations

from pydantic import Field

from stability.editors.locate.alphaedit import AlphaEdit, AlphaEditSettings
from stability.parts import EditorHead


class NasSettings(AlphaEditSettings):
    """Settings of NAS."""

    anchor_samples: int = Field(1000, ge=1)


class Nas(AlphaEdit):
    """AlphaEdit with norm-anchor scaling (arXiv 2602.02543).

    Between search and solve v* = v0 + δ is brought to the norm a; one longer than 2a is not written. The
    anchor a is the mean ‖v*‖ over `anchor_samples` requests, found in the unedited model without contexts and
    without writing anything, the largest five per cent left out. Other editors of the family do the same with
    `anchor_samples` above 0.
    """

    head = EditorHead(
        "nas",
        "AlphaEdit with every value scaled to the norm usual in the unedited model (NAS)",
        family="closed form",
        solves_batches=True,
    )
    Settings = NasSettings
    settings: NasSettings
