"""Changes in closed form: ROME's of rank one, and the one that MEMIT and its successors share."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from stability.errors import EditorError


class KeySolver(Protocol):
    """A symmetric positive semidefinite S [d_key, d_key]: the inverse of the metric for changes of W."""

    def solve(self, keys: Tensor) -> Tensor:
        """S k in float64, for keys [n, d_key]."""


def closed_form_change(residuals: Tensor, keys: Tensor, solved: Tensor, slack: float = 1.0) -> Tensor:
    """Δ = R (KᵀSK + slack·I)⁻¹ KᵀS, float64 [d_out, d_key].

    `residuals` are the n columns of R as rows, [n, d_out]; `keys` those of K and `solved` those of SK, [n,
    d_key]. By Woodbury's identity, with slack 1:

    - S = (λC)⁻¹: MEMIT's Δ = R Kᵀ(λC + KKᵀ)⁻¹ (Meng et al. 2023, arXiv 2210.07229, equation 14);
    - S = (λC + λₙI + K_pK_pᵀ)⁻¹: ENCORE's Δ = R Kᵀ(λC + λₙI + K_pK_pᵀ + KKᵀ)⁻¹;
    - S = (P/L2)-metric with earlier keys: AlphaEdit's Δᵀ = [P(KKᵀ + K_pK_pᵀ) + L2·I]⁻¹PKRᵀ.

    With S = C⁻¹ and slack ε it is EMMET's. Only an [n, n] matrix is factored, whatever d_key is.

    Raises:
        EditorError: slack is 0 and the keys are not linearly independent, or the model is already broken.
    """
    gram = keys.to(solved) @ solved.T  # [n, n]
    if not gram.isfinite().all():
        raise EditorError(
            "the keys of the edits are not finite: earlier edits have broken the model", kind="not_finite"
        )
    gram = (gram + gram.T) / 2 + slack * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    factor, failed = torch.linalg.cholesky_ex(gram)
    smallest = len(gram) * torch.finfo(gram.dtype).eps * gram.diagonal().max()
    if failed.item() or factor.diagonal().min() ** 2 <= smallest:
        raise EditorError(
            f"the {len(gram)} keys of one batch are not linearly independent; edit fewer at a time, or let "
            "the change miss its values a little (emmet: emmet_lambda above 0)"
        )
    return residuals.to(solved).T @ torch.cholesky_solve(solved, factor)


def rank_one_change(key: Tensor, direction: Tensor, residual: Tensor) -> Tensor:
    """The Δ [d_out, d_in] along `direction` [d_in] that gives Δk = `residual` [d_out] at `key` [d_in]."""
    return torch.outer(residual, direction) / (direction @ key)
