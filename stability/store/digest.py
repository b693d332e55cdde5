"""SHA-256 over tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def tensors_fingerprint(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256, hexadecimal, over names, shapes, dtypes and bytes; the order given does not matter."""
    import torch

    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(json.dumps([name, list(tensor.shape), str(tensor.dtype)]).encode())
        if flat.numel():
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
