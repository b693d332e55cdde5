"""The strongest direction in which every weight matrix has moved, against its strongest before editing."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from stability.metrics.plugin.metric import Context, Metric, register
from stability.metrics.weights.steps.matrices import BaseFigures, current, each_matrix, pristine, ratio
from stability.metrics.weights.steps.spectral import spectral_norm
from stability.record import Reading
from stability.record.schema import Over


@register
class DeltaSpectralNorm(Metric):
    """σ1(W - W0) / σ1(W0), the largest singular values: 0 for a matrix that no edit has changed."""

    name: ClassVar[str] = "delta_spectral_norm"
    summary: ClassVar[str] = "largest singular value of each matrix's change, over the unedited matrix's"
    over: ClassVar[Over] = "matrix"

    def __init__(self) -> None:
        self._base = BaseFigures(spectral_norm)

    def measure(self, context: Context) -> Reading:
        """One ratio a matrix, by parameter name; to a relative 1e-4."""
        return each_matrix(context, lambda name: self._ratio(context, name), lambda name: 0.0)

    def _ratio(self, context: Context, name: str) -> float:
        delta = _difference(current(context, name), pristine(context, name))
        return ratio(spectral_norm(delta), self._base.of(context, name))


def _difference(matrix: Tensor, base: Tensor) -> Tensor:
    """In float32 at least, so that halves are not rounded and do not overflow."""
    wide = torch.promote_types(torch.promote_types(matrix.dtype, base.dtype), torch.float32)
    return matrix.to(wide) - base.to(matrix.device, wide)
