"""Choosing weight matrices by layer and kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field

from stability.record.schema import Matrix, MatrixKind

if TYPE_CHECKING:
    from stability.models import ModelMap


def _as_matrices(value: object) -> object:
    """Accepts a single kind instead of a list."""
    return (value,) if isinstance(value, str) else value


Matrices = Annotated[tuple[MatrixKind, ...], BeforeValidator(_as_matrices), Field(min_length=1)]


def select(
    found: ModelMap, layers: Sequence[int] | None = None, kinds: Sequence[MatrixKind] | None = None
) -> list[Matrix]:
    """The matrices of those kinds in those layers, in the model's order.

    By default these are all layers, and all matrices of the MLP.

    Raises:
        ModelError: the model has no such layer or no such matrix.
    """
    chosen = range(found.n_layers) if layers is None else sorted(set(layers))
    if kinds is not None:
        return [found.matrix(layer, kind) for layer in chosen for kind in dict.fromkeys(kinds)]
    for layer in chosen:
        found.matrix(layer, "mlp_out")
    return [one for one in found.matrices if one.layer in chosen and one.kind.startswith("mlp_")]
