"""Two checkpoints on disk: what an edit did to the weights, streamed, and to the model, if it is loaded.

gating      the whole: folders in, record out
on_disk     everything that the files say of each other
files/      tensors as ranges of bytes, under their parameters' names; configurations, tokenizers
weights/    which tensors differ, and by how much, a window at a time; all of it as readings
levels      how much is looked at             models     the part that loads them; it alone needs torch
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.gate.gating import default_suite, gate
    from stability.gate.levels import Level

__all__ = ["Level", "default_suite", "gate"]

__getattr__ = attributes_from(
    __name__,
    {"stability.gate.gating": ("default_suite", "gate"), "stability.gate.levels": ("Level",)},
)
