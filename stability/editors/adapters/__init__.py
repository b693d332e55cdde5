"""Adapters: they call the public editing systems' own functions without changing the systems.

`kmeng` calls an `apply_*_to_model(model, tok, requests, hparams, ...)` function, the form that ROME's authors
introduced and that MEMIT, PMET, AlphaEdit, ENCORE and others use; `easyedit` calls EasyEdit's algorithm
table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.editors.adapters.easyedit import EasyEdit, EasyEditSettings
    from stability.editors.adapters.kmeng import Kmeng, KmengSettings
    from stability.editors.adapters.steps.external import ExternalEditor, ExternalSettings

__all__ = ["EasyEdit", "EasyEditSettings", "ExternalEditor", "ExternalSettings", "Kmeng", "KmengSettings"]

__getattr__ = attributes_from(
    __name__,
    {
        "stability.editors.adapters.easyedit": ("EasyEdit", "EasyEditSettings"),
        "stability.editors.adapters.kmeng": ("Kmeng", "KmengSettings"),
        "stability.editors.adapters.steps.external": ("ExternalEditor", "ExternalSettings"),
    },
)
