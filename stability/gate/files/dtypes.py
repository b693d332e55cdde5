"""The dtype in which a model is loaded by default."""

from __future__ import annotations

from stability.gate.files.folder import Folder

FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def loaded_dtype(folder: Folder) -> str | None:
    """What the configuration says or, if it says nothing, what the first tensor of numbers is stored in."""
    for key in ("dtype", "torch_dtype"):
        if isinstance(folder.config.get(key), str):
            return str(folder.config[key]).removeprefix("torch.")
    return next((FLOATS[one.dtype] for one in folder.tensors.values() if one.dtype in FLOATS), None)
