"""Where the residual stream points after every block, against where it pointed before editing."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from stability.errors import DataError
from stability.metrics.activations.activation_norm import by_layer
from stability.metrics.plugin.metric import Context, Metric, register
from stability.record import Reading
from stability.record.schema import Over


@register
class ActivationDirection(Metric):
    """Mean over the feature tokens of the cosine between a block's residual streams, edited and unedited."""

    name: ClassVar[str] = "activation_direction"
    summary: ClassVar[str] = "mean cosine between the residual stream and that of the unedited model"
    over: ClassVar[Over] = "layer"

    def measure(self, context: Context) -> Reading:
        """One mean cosine a layer, by index; 1 on the unedited model."""
        now = context.observation.features
        if not now.shape[1]:
            raise DataError(
                "activation_direction: text.skip_tokens leaves no token of any document; "
                "skip fewer or give longer documents"
            )
        base = (context.base or context.observation).features
        cosines = [mean_cosine(one, other) for one, other in zip(now, base, strict=True)]
        return by_layer(torch.tensor(cosines, dtype=torch.float64))


def mean_cosine(one: Tensor, other: Tensor) -> float:
    """Mean cosine of the rows of two tensors, [n, d] each; exactly 1 if they are equal."""
    one, other = one.double(), other.double()
    product, lengths, other_lengths = ((a * b).sum(1) for a, b in ((one, other), (one, one), (other, other)))
    # The root of the product, not the product of the roots: that of a square is exact.
    return (product / (lengths * other_lengths).sqrt()).mean().item()
