"""Adapters: the public editing systems' own entry points, taken as they are.

`kmeng` calls an `apply_*_to_model(model, tok, requests, hparams, ...)` function, the form that ROME's authors
began and that MEMIT, PMET, AlphaEdit, ENCORE and others keep; `easyedit` calls EasyEdit's algorithm table.
"""

from stability.editors.adapters.easyedit import EasyEdit, EasyEditSettings
from stability.editors.adapters.kmeng import Kmeng, KmengSettings
from stability.editors.adapters.steps.foreign import ForeignEditor, ForeignSettings

__all__ = ["EasyEdit", "EasyEditSettings", "ForeignEditor", "ForeignSettings", "Kmeng", "KmengSettings"]
