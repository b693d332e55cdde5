"""NAS: AlphaEdit with every value scaled to the usual norm of values in the unedited model."""

from __future__ import annotations

from pydantic import Field

from stability.editors.locate.alphaedit import AlphaEdit, AlphaEditSettings
from stability.parts import EditorHead


class NasSettings(AlphaEditSettings):
    """Settings of NAS."""

    anchor_samples: int = Field(1000, ge=1)


class Nas(AlphaEdit):
    """AlphaEdit with norm-anchor scaling (arXiv 2602.02543).

    After the search, v* = v0 + δ is scaled to the norm a; if it is longer than 2a, it is not written. The
    anchor a is the mean ‖v*‖ over `anchor_samples` requests without the largest five per cent, searched in
    the unedited model without contexts; nothing is written there. Other editors of the family do the same
    with `anchor_samples` above 0.
    """

    head = EditorHead(
        "nas",
        "AlphaEdit with every value scaled to the norm usual in the unedited model (NAS)",
        family="closed form",
        solves_batches=True,
    )
    Settings = NasSettings
    settings: NasSettings
