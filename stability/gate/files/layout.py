"""A folder's tensors under the names that its model gives its parameters, and the matrices among them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from stability.errors import ModelError
from stability.gate.files.folder import Folder, Stored
from stability.models.architectures import ARCHITECTURES, Architecture
from stability.record import Matrix

HEAD = "lm_head.weight"
FORMERLY = {"embed_out.weight": HEAD}  # as GPT-NeoX's files call it
# Masks and rotary frequencies: a model works them out, and older checkpoints hold them while newer do not.
WORKED_OUT = re.compile(r"\.(attn|attention)\.(masked_)?bias$|\.rotary_emb\.inv_freq$|\.embed_positions$")


@dataclass(frozen=True)
class Layout:
    """Tensors by parameter name, and the block matrices, layer by layer."""

    folder: Folder
    architecture: str
    layers: int
    tensors: Mapping[str, Stored]
    matrices: tuple[Matrix, ...]

    @property
    def is_tied(self) -> bool:
        """Whether the head may be the embedding, so that a file need not hold it."""
        return self.folder.config.get("tie_word_embeddings") is not False


def lay_out(folder: Folder) -> Layout:
    """Find a folder's blocks and matrices by its configuration's `model_type`.

    Raises:
        ModelError: the architecture is not in the table, or the files do not hold it.
    """
    model_type = folder.config.get("model_type")
    architecture = ARCHITECTURES.get(model_type) if isinstance(model_type, str) else None
    if architecture is None:
        raise ModelError(
            f"cannot map the model in {folder.path} (model_type {model_type!r}); "
            f"supported are {', '.join(ARCHITECTURES)}"
        )
    tensors = _named(folder.tensors, architecture)
    layers = 1 + max(
        (int(match[1]) for name in tensors if (match := _in_block(architecture).match(name))), default=-1
    )
    if not layers:
        raise ModelError(
            f"the model in {folder.path} is not built as {model_type} should be: no {architecture.blocks}.0"
        )
    matrices = []
    for layer in range(layers):
        for kind, path in architecture.matrices.items():
            name = f"{architecture.blocks}.{layer}.{path}.weight"
            stored = tensors.get(name)
            if stored is not None and len(stored.shape) == 2:
                d_out, d_in = reversed(stored.shape) if architecture.transposed else stored.shape
                matrices.append(Matrix(name=name, layer=layer, kind=kind, d_out=d_out, d_in=d_in))
    return Layout(folder, str(model_type), layers, tensors, tuple(matrices))


def _in_block(architecture: Architecture) -> re.Pattern[str]:
    return re.compile(re.escape(architecture.blocks) + r"\.(\d+)\.")


def _named(stored: Mapping[str, Stored], architecture: Architecture) -> dict[str, Stored]:
    """By parameter name: files of the bare model lack the first part, `h.0` being `transformer.h.0`."""
    stored = {FORMERLY.get(name, name): tensor for name, tensor in stored.items()}
    first, _, rest = architecture.blocks.partition(".")
    bare = re.compile(re.escape(rest) + r"\.\d+\.")
    is_bare = any(bare.match(name) for name in stored) and not any(
        name.startswith(f"{first}.") for name in stored
    )
    if not is_bare:
        return stored
    return {name if name == HEAD else f"{first}.{name}": tensor for name, tensor in stored.items()}


def is_worked_out(name: str, tensor: Stored) -> bool:
    """Whether a tensor is one that the model makes itself, and that its files may hold or not."""
    found = WORKED_OUT.search(name)
    # A mask is [1, 1, n, n] or a number; a real bias of that name would be a vector.
    return found is not None and (found[1] is None or len(tensor.shape) != 1)
