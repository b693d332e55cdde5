"""Which of a reading's values a check looks at: the suite's words for layers, matrices and pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from stability.judge.problems import CannotJudge, NothingSelected
from stability.record import Matrix, ModelInfo, Reading, Run
from stability.suite.schema import MayChange, Where

NOTHING_EDITED = "no matrix was edited"
FUSED = {"attn_q": "attn_qkv", "attn_k": "attn_qkv", "attn_v": "attn_qkv"}
FITS = {"matrix": ("layers", "matrices"), "layer": ("layers",), "pair": ("pairs",), "task": ("task",)}


@dataclass(frozen=True)
class Scene:
    """A model and what one run changed in it: all that a selection depends on.

    `changed` names every parameter that differs from the base at any checkpoint of the run.
    """

    model: ModelInfo
    changed: frozenset[str]

    @classmethod
    def of(cls, model: ModelInfo, run: Run) -> Scene:
        """The scene of a run."""
        return cls(model, run.edited)

    @cached_property
    def matrices(self) -> dict[str, Matrix]:
        """The block matrices, by parameter name."""
        return {matrix.name: matrix for matrix in self.model.matrices}

    @cached_property
    def edited_matrices(self) -> tuple[Matrix, ...]:
        """The block matrices that the run changed."""
        return tuple(matrix for matrix in self.model.matrices if matrix.name in self.changed)

    @cached_property
    def edited_layers(self) -> frozenset[int]:
        """The blocks that hold an edited matrix."""
        return frozenset(matrix.layer for matrix in self.edited_matrices)

    @cached_property
    def blocks(self) -> dict[str, int]:
        """The block that a parameter whose name begins so belongs to: `transformer.h.7` is 7."""
        prefixes = {}
        for matrix in self.model.matrices:
            parts = matrix.name.split(".")
            if str(matrix.layer) in parts:
                prefixes[".".join(parts[: parts.index(str(matrix.layer)) + 1])] = matrix.layer
        return prefixes

    def layer_of(self, parameter: str) -> int | None:
        """The block that a parameter belongs to; None outside of the blocks."""
        if parameter in self.matrices:
            return self.matrices[parameter].layer
        parts = parameter.split(".")
        prefixes = (".".join(parts[: end + 1]) for end, part in enumerate(parts) if part.isdigit())
        return next((self.blocks[prefix] for prefix in prefixes if prefix in self.blocks), None)

    @cached_property
    def first_affected(self) -> int:
        """The first block whose output the edits can change.

        The first block with a changed parameter; 0 where only parameters outside of the blocks, such as the
        embedding, were changed.

        Raises:
            NothingSelected: nothing was changed.
        """
        if not self.changed:
            raise NothingSelected(NOTHING_EDITED)
        layers = [layer for name in self.changed if (layer := self.layer_of(name)) is not None]
        return min(layers, default=0)

    def layers(self, wanted: str | tuple[int, ...] | None) -> frozenset[int]:
        """The blocks that the word or the numbers mean.

        Raises:
            CannotJudge: the model has no such block.
            NothingSelected: the word depends on edited layers, and there is none, or it leaves none over.
        """
        everything = range(self.model.layers)
        if wanted is None or wanted == "all":
            return frozenset(everything)
        if isinstance(wanted, tuple):
            missing = [layer for layer in wanted if layer not in everything]
            if missing:
                raise CannotJudge(
                    f"where.layers names block {missing[0]}, but {self.model.name} has blocks "
                    f"0-{self.model.layers - 1}"
                )
            return frozenset(wanted)
        if wanted == "late":
            return frozenset(everything[-math.ceil(self.model.layers / 4) :])
        if wanted == "unedited":
            return frozenset(everything) - self.edited_layers
        if not self.edited_layers:
            raise NothingSelected(NOTHING_EDITED)
        first, last = min(self.edited_layers), max(self.edited_layers)
        if wanted == "before_edited":
            return frozenset(range(first))
        if wanted == "after_edited":
            return frozenset(range(last + 1, self.model.layers))
        return self.edited_layers

    def is_wanted(self, matrix: Matrix, words: Iterable[str] | None) -> bool:
        """Whether one of the words means the matrix; a fused attn_qkv is meant by each of its parts."""
        if words is None:
            return True
        return any(
            word == "all"
            or (word == "edited" and matrix.name in self.changed)
            or matrix.kind in (word, FUSED.get(word))
            for word in words
        )


def check_fits(metric: str, over: str, where: Where) -> None:
    """See that every key of `where` selects something in readings of this kind.

    Raises:
        CannotJudge: it names the key that does not fit, and what would.
    """
    known = FITS.get(over, ())
    for key in ("layers", "matrices", "pairs", "task"):
        if getattr(where, key) is not None and key not in known:
            fitting = " and ".join(f"'where.{name}'" for name in known) or "no 'where' at all"
            raise CannotJudge(
                f"'where.{key}' does not fit {metric}, which has a value for each {over}; it takes {fitting}"
                if over != "scalar"
                else f"'where.{key}' does not fit {metric}, which is a single value; leave 'where' out"
            )


def check_nonempty(where: Where, scene: Scene) -> None:
    """See that the words of `where` mean something in this run, whatever was measured.

    Raises:
        CannotJudge: the model has no such block.
        NothingSelected: they depend on what was edited, and nothing was, or no layer is left over.
    """
    if where.matrices is not None and set(where.matrices) == {"edited"} and not scene.edited_matrices:
        raise NothingSelected(NOTHING_EDITED)
    if where.pairs == "affected":
        _ = scene.first_affected
    if where.layers is not None and not scene.layers(where.layers):
        last = f"0-{scene.model.layers - 1}"
        raise NothingSelected(
            {
                "before_edited": "no block lies before the first edited one (block 0)",
                "after_edited": f"no block lies after the last edited one (block {scene.model.layers - 1})",
                "unedited": f"every block ({last}) holds an edited matrix",
            }.get(str(where.layers), "where.layers selects no block")
        )


def select(reading: Reading, where: Where, scene: Scene) -> frozenset[str]:
    """The keys that `where` means, whether they were measured or left out.

    Raises:
        CannotJudge: `where` names a block that the model does not have.
        NothingSelected: it means what was edited, and nothing was.
    """
    keys = frozenset(reading.values) | frozenset(reading.left_out)
    if reading.over == "matrix":
        layers = scene.layers(where.layers)
        chosen = (scene.matrices[name] for name in keys if name in scene.matrices)
        return frozenset(
            matrix.name
            for matrix in chosen
            if matrix.layer in layers and scene.is_wanted(matrix, where.matrices)
        )
    if reading.over == "layer":
        layers = scene.layers(where.layers)
        return frozenset(key for key in keys if int(key) in layers)
    if reading.over == "pair" and where.pairs == "affected":
        first = scene.first_affected
        return frozenset(key for key in keys if max(int(part) for part in key.split("-")) >= first)
    if reading.over == "task" and where.task is not None:
        return keys & {where.task}
    return keys


def frozen_parameters(reading: Reading, allowed: MayChange, scene: Scene) -> frozenset[str]:
    """The parameters that `may_change` does not allow to change.

    A matrix is allowed if its layer and its kind are; a parameter that is no block matrix (bias, norm,
    embedding) only if it belongs to an allowed layer and `may_change.matrices` is `all`.

    Raises:
        CannotJudge: `may_change` speaks of what was edited, so that nothing could break it.
    """
    for key, words in (("layers", (allowed.layers,)), ("matrices", allowed.matrices)):
        circular = [word for word in words if isinstance(word, str) and "edited" in word]
        if circular:
            raise CannotJudge(
                f"may_change.{key}: {circular[0]} allows whatever the editor did; name the {key} instead"
            )
    layers = scene.layers(allowed.layers)

    def is_allowed(name: str) -> bool:
        layer = scene.layer_of(name)
        if layer is None or layer not in layers:
            return False
        matrix = scene.matrices.get(name)
        return "all" in allowed.matrices if matrix is None else scene.is_wanted(matrix, allowed.matrices)

    return frozenset(name for name in reading.values if not is_allowed(name))


def place(over: str, key: str, scene: Scene) -> str:
    """How a person calls the place: `h.1.mlp.c_proj`, `block 7`, `blocks 3-7`."""
    if over == "layer":
        return f"block {key}"
    if over == "pair":
        return f"blocks {key}"
    if over == "edit":
        return f"edit {key}"
    if over in ("matrix", "parameter"):
        parts = key.removesuffix(".weight").split(".")
        layer = scene.layer_of(key)
        if layer is not None and str(layer) in parts:
            parts = parts[max(parts.index(str(layer)) - 1, 0) :]
        return ".".join(parts)
    return key
