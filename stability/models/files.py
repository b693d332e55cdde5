"""What the files of a model's folder are called, and what is refused in their place. Loads no torch."""

from __future__ import annotations

from pathlib import Path

from stability.errors import ModelError

INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def no_safetensors(folder: Path) -> ModelError:
    """The error of a folder that has neither `WEIGHTS` nor `INDEX`; it names a pickle that is there."""
    pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if pickles:
        return ModelError(
            f"the weights in {folder} are a pickle ({pickles[0]}), which can run code when opened and is "
            "refused; save the model as safetensors"
        )
    return ModelError(f"no weights in {folder}: expected {WEIGHTS} or {INDEX}")
