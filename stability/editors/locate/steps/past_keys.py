"""The keys of earlier edits, which make changes to the answers for them more expensive."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from stability.editors.locate.steps.closed_form import KeySolver

MOST = 2  # up to MOST · d_key keys are kept; more are replaced by d_key others with the same Σ k kᵀ


class PastKeys:
    """The metric (S⁺ + Σ k kᵀ)⁺ of a metric S and the keys added so far, without a matrix [d_key, d_key].

    By Woodbury's identity it is S - S K_p (I + K_pᵀSK_p)⁻¹ K_pᵀS. The small matrix is kept factored, and a
    new key extends the factor.
    """

    def __init__(self, solver: KeySolver) -> None:
        self._solver = solver
        self._kept: dict[str, Tensor] = {}  # keys and solved [m, d_key], factor [m, m]; empty at first

    def solve(self, keys: Tensor) -> Tensor:
        """S applied to keys [n, d_key], float64."""
        solved = self._solver.solve(keys)
        if not self._kept:
            return solved
        past = self._on(solved.device)
        shared = past["keys"] @ solved.T  # [m, n]
        return solved - torch.cholesky_solve(shared, past["factor"]).T @ past["solved"]

    def add(self, keys: Tensor) -> None:
        """Add keys, [n, d_key]."""
        solved = self._solver.solve(keys)
        keys = keys.to(solved)
        if not self._kept:
            self._kept = {"keys": keys, "solved": solved, "factor": _factor(keys, solved)}
            return
        past = self._on(solved.device)
        if len(past["keys"]) + len(keys) > MOST * keys.shape[1]:
            every = torch.cat([past["keys"], keys])
            keys = torch.linalg.qr(every, mode="r").R  # RᵀR = Σ k kᵀ
            solved = self._solver.solve(keys)
            self._kept = {"keys": keys, "solved": solved, "factor": _factor(keys, solved)}
            return
        side = torch.linalg.solve_triangular(past["factor"], past["keys"] @ solved.T, upper=False)  # [m, n]
        corner = _factor(keys, solved, side)
        upper = torch.cat([past["factor"], torch.zeros_like(side)], dim=1)
        self._kept = {
            "keys": torch.cat([past["keys"], keys]),
            "solved": torch.cat([past["solved"], solved]),
            "factor": torch.cat([upper, torch.cat([side.T, corner], dim=1)]),
        }

    def state(self) -> dict[str, Tensor]:
        """The keys and the factor."""
        return self._on("cpu")

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue with the keys and the factor of the state."""
        self._kept = dict(state)

    def _on(self, device: torch.device | str) -> dict[str, Tensor]:
        return {name: tensor.to(device) for name, tensor in self._kept.items()}


def _factor(keys: Tensor, solved: Tensor, side: Tensor | None = None) -> Tensor:
    """The Cholesky factor of I + KᵀSK, minus the part that earlier rows already cover."""
    gram = keys @ solved.T
    gram = (gram + gram.T) / 2 + torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    factor: Tensor = torch.linalg.cholesky(gram if side is None else gram - side.T @ side)
    return factor
