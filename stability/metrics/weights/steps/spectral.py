"""The largest singular value of a matrix, to a relative 1e-4 that is tested and not hoped for.

Small matrices go through the eigenvalues of their Gram matrix in float64. Large ones go through Golub-Kahan
bidiagonalisation with full reorthogonalisation (Golub & Van Loan, Matrix Computations, 10.4): each step costs
two products with the matrix, and the residual of the leading triplet bounds the distance to a singular value.
Power iteration from the same number of products is 1 % off.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stability.metrics.weights.steps.norms import frobenius_norm

DIRECT = 512  # the shorter side up to which the Gram matrix is cheaper
TOLERANCE = 2e-5  # of the residual, relative to the singular value
STEPS = 300


def spectral_norm(matrix: Tensor) -> float:
    """The largest singular value of `matrix`, [rows, columns]; NaN if an element is not finite.

    Deterministic, and no global random state is used.
    """
    norm = frobenius_norm(matrix)
    if not math.isfinite(norm):
        return math.nan
    if norm == 0:
        return 0.0
    if min(matrix.shape) <= DIRECT:
        return _by_gram(matrix, norm)
    value = _by_bidiagonalisation((matrix.double() / norm).float())
    return _by_gram(matrix, norm) if value is None else value * norm


def difference(matrix: Tensor, base: Tensor) -> Tensor:
    """`matrix - base`, in float32 at least, so that halves are not rounded and do not overflow."""
    wide = torch.promote_types(torch.promote_types(matrix.dtype, base.dtype), torch.float32)
    return matrix.to(wide) - base.to(matrix.device, wide)


def _by_gram(matrix: Tensor, norm: float) -> float:
    scaled = matrix.double() / norm
    gram = scaled @ scaled.T if scaled.shape[0] <= scaled.shape[1] else scaled.T @ scaled
    return math.sqrt(max(torch.linalg.eigvalsh(gram)[-1].item(), 0.0)) * norm


def _by_bidiagonalisation(matrix: Tensor) -> float | None:
    """None if it has not converged. `matrix` is float32 of norm 1; the short vectors are float64."""
    rows, columns = matrix.shape
    steps = min(STEPS, rows, columns)
    generator = torch.Generator().manual_seed(0)
    left = torch.zeros(steps, rows, dtype=torch.float64, device=matrix.device)
    right = torch.zeros(steps + 1, columns, dtype=torch.float64, device=matrix.device)
    start = torch.randn(columns, generator=generator, dtype=torch.float64).to(matrix.device)
    right[0] = start / start.norm()
    diagonal, above = [], []
    for step in range(steps):
        u = (matrix @ right[step].float()).double()  # [rows]
        u = _orthogonal(u, left[:step])
        diagonal.append(u.norm().item())
        # A vanishing vector means that all of the matrix that the start can reach has been seen.
        left[step] = u / diagonal[-1] if diagonal[-1] > 0 else 0
        v = (left[step].float() @ matrix).double()  # [columns]
        v = _orthogonal(v, right[: step + 1])
        above.append(v.norm().item())
        bidiagonal = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
        bidiagonal += torch.diag(torch.tensor(above[:-1], dtype=torch.float64), 1)
        vectors, values, _ = torch.linalg.svd(bidiagonal)
        residual = above[-1] * abs(vectors[-1, 0].item())
        if residual <= TOLERANCE * values[0].item():
            return float(values[0])
        right[step + 1] = v / above[-1]
    return None


def _orthogonal(vector: Tensor, basis: Tensor) -> Tensor:
    """The vector less its part in the span of the basis' rows; twice, because once leaves rounding errors."""
    for _ in range(2):
        vector = vector - basis.T @ (basis @ vector)
    return vector
