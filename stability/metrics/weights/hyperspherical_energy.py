"""How evenly a matrix's neurons point in all directions: what SPHERE's edits are made to keep."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from stability.metrics.plugin.metric import Context, Metric, register
from stability.metrics.weights.steps.matrices import BaseFigures, current, each_matrix, is_asked_for, neurons
from stability.record import Reading
from stability.record.schema import Over
from stability.suite import SuiteSpec

ROWS = 1_024  # at a time: against 16,384 others, 64 MiB of float32
NEAR = 1e-2  # squared distances below it are too coarse in float32
NEAREST = 1e-6  # a distance below it counts as it


@register
class HypersphericalEnergy(Metric):
    """HE(W) = Σ_{i≠j} ‖ŵ_i - ŵ_j‖⁻¹ over ordered pairs of neurons, the rows of W [d_out, d_in] at length 1.

    The measure of SPHERE (arXiv 2510.01172), defined as by OFT (Qiu et al. 2023); it is blind to the neurons'
    lengths. The value is the sum itself, which grows with d_out², so that checks take its ratio to the base.
    Pairs nearer than 1e-6 count as 1e-6 apart: that of two equal directions would be infinite.
    """

    name: ClassVar[str] = "hyperspherical_energy"
    summary: ClassVar[str] = (
        "sum over pairs of a matrix's neurons of one over the distance of their directions"
    )
    over: ClassVar[Over] = "matrix"

    def __init__(self) -> None:
        self._base = BaseFigures(hyperspherical_energy, by_neuron=True)

    def wanted(self, suite: SuiteSpec) -> bool:
        """On the built-in model always, on others where a check asks: a matrix costs d_out² · d_in."""
        return is_asked_for(self.name, suite)

    def measure(self, context: Context) -> Reading:
        """One energy a matrix, by parameter name; only of those that have changed is it worked out again."""
        return each_matrix(
            context,
            changed=lambda name: hyperspherical_energy(neurons(context, name, current(context, name))),
            unchanged=lambda name: self._base.of(context, name),
        )


def hyperspherical_energy(matrix: Tensor) -> float:
    """The energy of the rows of `matrix`, [neurons, d], to a relative 1e-6; NaN if an element is not finite.

    A row of zeros has no direction and stays in the middle, 1 away from the others.
    """
    if not torch.isfinite(matrix).all():
        return math.nan
    total = 0.0
    rows = _directions(matrix.detach(), torch.float32)
    for first in range(0, len(rows), ROWS):
        block = slice(first, first + ROWS)
        squared = _squared_distances(rows[block], rows[first:])  # [block, rows from the block on]
        count = len(squared)
        squared[:, :count].fill_diagonal_(math.inf)
        if squared.min() < NEAR:
            exact = _directions(matrix[first:], torch.float64)
            squared = _squared_distances(exact[:count], exact)
            squared[:, :count].fill_diagonal_(math.inf)
        inverse = squared.clamp_(min=NEAREST**2).rsqrt_()
        # A pair inside of the block is in it twice, one with a later row once.
        total += inverse[:, :count].sum(dtype=torch.float64).item()
        total += 2 * inverse[:, count:].sum(dtype=torch.float64).item()
    return total


def _directions(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    rows = matrix.to(torch.promote_types(matrix.dtype, dtype))
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1, keepdim=True, dtype=torch.float64)
    directions: Tensor = (rows / lengths.masked_fill_(lengths == 0, 1)).to(rows.dtype)
    return directions


def _squared_distances(rows: Tensor, others: Tensor) -> Tensor:
    """‖a‖² + ‖b‖² - 2 a·b of unit or zero rows, [rows, others]."""
    squares = [(one != 0).any(1).to(one.dtype) for one in (rows, others)]
    products = rows @ others.T
    return products.mul_(-2).add_(squares[0][:, None]).add_(squares[1])
