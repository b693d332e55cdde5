"""SHA-256 over tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def octets(tensor: Tensor) -> Tensor:
    """The bytes of a tensor in the order of its elements, [bytes], where it is."""
    import torch

    flat = tensor.detach().contiguous().reshape(-1)
    if flat.numel() == 1:  # such a one is contiguous whatever its stride, and its bytes cannot be viewed then
        flat = flat.clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8)


def tensors_fingerprint(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256, hexadecimal, over names, shapes, dtypes and bytes; the order given does not matter."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        digest.update(json.dumps([name, list(tensor.shape), str(tensor.dtype)]).encode())
        if tensor.numel():
            digest.update(octets(tensor.cpu()).numpy().data)
    return digest.hexdigest()
