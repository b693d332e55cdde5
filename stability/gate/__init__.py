"""Two checkpoints on disk: what an edit did to the weights, streamed, and to the model, if it is loaded.

gating      the whole: folders in, record out
folder      tensors as ranges of bytes        layout     under their parameters' names
windows     a few MiB of them at a time       numbers    from bytes
compare     which differ, and by how much     rank       of a change
configs, tokenizers                           weights    all of it as readings
levels      how much is looked at             models     the part that loads them; it alone needs torch
"""

from stability.gate.gating import default_suite, gate
from stability.gate.levels import Level

__all__ = ["Level", "default_suite", "gate"]
