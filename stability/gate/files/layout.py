"""A folder's tensors under the names that its model gives its parameters, and the matrices among them.

A model that no entry of the table of architectures describes keeps the names of its files: its blocks are
what is numbered in them, and its matrices have no kind but their names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from stability.errors import ModelError
from stability.gate.files.configs import default_of
from stability.gate.files.folder import BYTES, Folder, Stored
from stability.models.architectures import ARCHITECTURES, Architecture
from stability.record import Matrix

HEAD = "lm_head.weight"
EMBEDDINGS = re.compile(r"(^|\.)(embed_tokens|wte|embed_in|word_embeddings)\.weight$")
# Masks and rotary frequencies: a model works them out, and older checkpoints hold them while newer do not.
WORKED_OUT = re.compile(r"\.(attn|attention)\.(masked_)?bias$|\.rotary_emb\.inv_freq$|\.embed_positions$")


@dataclass(frozen=True)
class Layout:
    """Tensors by parameter name, and the block matrices, layer by layer; `entry` is None if there is none."""

    folder: Folder
    architecture: str
    layers: int
    tensors: Mapping[str, Stored]
    matrices: tuple[Matrix, ...]
    entry: Architecture | None = None

    @cached_property
    def is_tied(self) -> bool:
        """Whether the head may be the embedding, so that a file need not hold both."""
        config = self.folder.config
        inner = config.get("text_config")
        for one in (config, inner if isinstance(inner, Mapping) else {}):
            if isinstance(one.get("tie_word_embeddings"), bool):
                return bool(one["tie_word_embeddings"])
        return default_of(self.folder, "tie_word_embeddings") is True

    def is_transposed(self, name: str, otherwise: bool) -> bool:
        """Whether a matrix is stored as [d_in, d_out]; `otherwise` where no entry of the table says so."""
        if self.entry is None:
            return otherwise
        kinds = {matrix.name: matrix.kind for matrix in self.matrices}
        return self.entry.transposed and kinds.get(name, "other") != "other"


def lay_out(folder: Folder) -> Layout:
    """Find a folder's blocks and matrices, by its configuration's `model_type` where that is known.

    Raises:
        ModelError: the files do not hold what the architecture needs, or hold a tensor under two names.
    """
    model_type = folder.config.get("model_type")
    entry = ARCHITECTURES.get(model_type) if isinstance(model_type, str) else None
    if entry is None:
        blocks = _numbered(folder.tensors)
        tensors = dict(folder.tensors)
    else:
        blocks = entry.blocks
        tensors = _named(folder, entry)
    in_block = re.compile(re.escape(blocks) + r"\.(\d+)\.(.+)") if blocks else None
    places = {name: match for name in tensors if in_block and (match := in_block.match(name))}
    layers = 1 + max((int(match[1]) for match in places.values()), default=-1)
    if entry is not None and not layers:
        raise ModelError(f"the model in {folder.path} is not built as {model_type} should be: no {blocks}.0")
    kinds = {f"{path}.weight": kind for kind, path in entry.matrices.items()} if entry else {}
    order = {path: number for number, path in enumerate(kinds)}
    matrices = []
    for name, match in places.items():
        stored, layer, path = tensors[name], int(match[1]), match[2]
        if len(stored.shape) == 2 and (path in kinds or min(stored.shape) > 1):
            turned = entry is not None and entry.transposed and path in kinds
            d_out, d_in = reversed(stored.shape) if turned else stored.shape
            kind = kinds.get(path, "other")
            matrix = Matrix(name=name, layer=layer, kind=kind, d_out=d_out, d_in=d_in)
            matrices.append(((layer, order.get(path, len(order)), name), matrix))
    ordered = tuple(matrix for _, matrix in sorted(matrices, key=lambda pair: pair[0]))
    return Layout(folder, str(model_type), layers, tensors, ordered, entry)


def _numbered(names: Iterable[str]) -> str:
    """What is numbered in the names of most tensors: `model.layers`; "" if nothing is."""
    found = Counter(match[1] for name in names if (match := re.match(r"(.*?)\.\d+\.", name)))
    return found.most_common(1)[0][0] if found else ""


def _named(folder: Folder, entry: Architecture) -> dict[str, Stored]:
    """By parameter name: files of the bare model lack the first part, `h.0` being `transformer.h.0`."""
    stored = {_renamed(name, entry): tensor for name, tensor in folder.tensors.items()}
    if len(stored) < len(folder.tensors):
        twice = Counter(_renamed(name, entry) for name in folder.tensors).most_common(1)[0][0]
        raise ModelError(f"the model in {folder.path} holds {twice} twice, under two names; remove one")
    first, _, rest = entry.blocks.partition(".")
    bare = re.compile(re.escape(rest) + r"\.\d+\.")
    is_bare = any(bare.match(name) for name in stored)
    named: dict[str, Stored] = {}
    for name, tensor in stored.items():
        prefixed = f"{first}.{name}"
        if prefixed in stored:
            raise ModelError(
                f"the model in {folder.path} holds both {name} and {prefixed}, which are one parameter; "
                "remove one"
            )
        is_short = is_bare and name != HEAD and not name.startswith(f"{first}.")
        named |= _split(prefixed if is_short else name, tensor, entry)
    return {name: tensor for name, tensor in named.items() if not is_worked_out(name, tensor)}


def _renamed(name: str, entry: Architecture) -> str:
    """The name by which a tensor is saved today."""
    for old, new in entry.renamed.items():
        name = re.sub(old, new, name)
    return name


def _split(name: str, tensor: Stored, entry: Architecture) -> dict[str, Stored]:
    """Experts stored in one tensor [experts, rows, columns], as one matrix each, as in most files."""
    before, between, _ = name.partition(".experts.")
    parts = entry.experts.get(name.removeprefix(before)) if between else None
    if parts is None or len(tensor.shape) != 3 or tensor.shape[1] % len(parts):
        return {name: tensor}
    experts, rows, columns = tensor.shape[0], tensor.shape[1] // len(parts), tensor.shape[2]
    size = rows * columns * BYTES[tensor.dtype]
    found = {}
    for number in range(experts * len(parts)):
        expert, part = divmod(number, len(parts))
        one = f"{before}.experts.{expert}.{parts[part]}.weight"
        at = tensor.offset + number * size
        found[one] = replace(tensor, name=one, shape=(rows, columns), offset=at, size=size)
    return found


def is_worked_out(name: str, tensor: Stored) -> bool:
    """Whether a tensor is one that the model makes itself, and that its files may hold or not."""
    found = WORKED_OUT.search(name)
    # A mask is [1, 1, n, n] or a number; a real bias of that name would be a vector.
    return found is not None and (found[1] is None or len(tensor.shape) != 1)
