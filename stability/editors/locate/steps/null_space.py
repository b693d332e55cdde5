"""The directions that the keys of text hardly use: a change of the matrix there hardly affects text."""

from __future__ import annotations

import logging

import torch
from torch import Tensor

from stability.errors import EditorError
from stability.store import Store, tensors_fingerprint

log = logging.getLogger(__name__)


class NullSpace:
    """The metric S = P / weight, with the projector P = U₀U₀ᵀ and `basis` U₀, [d_key, r], float64."""

    def __init__(self, basis: Tensor, weight: float) -> None:
        self._basis = basis
        self._weight = weight

    def solve(self, keys: Tensor) -> Tensor:
        """P k / weight in float64, for keys [n, d_key]."""
        projected: Tensor = keys.to(self._basis) @ self._basis @ self._basis.T / self._weight
        return projected


def null_basis(moment: Tensor, threshold: float) -> Tensor:
    """U₀: C's eigenvectors with eigenvalues below the threshold, [d_key, r] (AlphaEdit, section 3.1).

    Raises:
        EditorError: no eigenvalue is below it.
    """
    values, vectors = torch.linalg.eigh(moment)
    basis: Tensor = vectors[:, values < threshold]
    if not basis.shape[1]:
        raise EditorError(
            f"no direction of the keys is free: C's smallest eigenvalue is {values[0].item():.3g}; "
            f"set nullspace_threshold above it (it is {threshold:g})"
        )
    log.info("%d of %d key directions are free", basis.shape[1], len(moment))
    return basis


def stored_null_basis(moment: Tensor, threshold: float, store: Store) -> Tensor:
    """`null_basis` from the store, or computed and stored, by the content of C and the threshold."""
    key = {
        "what": "null space of a second moment",
        "moment": tensors_fingerprint([("moment", moment)]),
        "threshold": threshold,
    }
    stored = store.load(key)
    if stored is not None:
        return stored["basis"].to(moment.device)
    basis = null_basis(moment, threshold)
    store.save(key, {"basis": basis})
    return basis
