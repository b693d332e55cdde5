"""The strongest direction in which every weight matrix has moved, against its strongest before editing."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from stability.metrics.base import Context, Metric, register
from stability.metrics.matrices import BaseFigures, current, pristine, ratio
from stability.metrics.spectral import spectral_norm
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
        values = dict.fromkeys((matrix.name for matrix in context.map.matrices), 0.0)
        for name in set(context.changed) & values.keys():
            delta = _difference(current(context, name), pristine(context, name))
            values[name] = ratio(spectral_norm(delta), self._base.of(context, name))
        return Reading(over=self.over, values=values, unit=self.unit)


def _difference(matrix: Tensor, base: Tensor) -> Tensor:
    """In float32 at least, so that halves are not rounded and do not overflow."""
    wide = torch.promote_types(torch.promote_types(matrix.dtype, base.dtype), torch.float32)
    return matrix.to(wide) - base.to(matrix.device, wide)
