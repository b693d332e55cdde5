"""The size of the residual stream after every block: what sequential edits make shrink, or grow."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from stability.errors import DataError
from stability.metrics.plugin.metric import Context, Metric, register
from stability.record import Reading
from stability.record.schema import Over


@register
class ActivationNorm(Metric):
    """Mean over tokens of the L2 norm of the residual stream after each block, before the final norm.

    The first `text.skip_tokens` tokens of each document are left out: their norm is an outlier that would
    hide the rest (Gupta et al. 2025 do not say whether their figure 4 counts them).
    """

    name: ClassVar[str] = "activation_norm"
    summary: ClassVar[str] = "mean L2 norm of the residual stream after each block"
    over: ClassVar[Over] = "layer"

    def measure(self, context: Context) -> Reading:
        """One mean a layer, by index."""
        norms = counted_norms(context, context.observation.norms)
        return by_layer(norms.double().mean(1))


@register
class ActivationNormMedian(Metric):
    """Median over tokens of the norm's ratio to the same token's on the unedited model; 1 on the latter.

    A few tokens with huge norms move the mean, but not this.
    """

    name: ClassVar[str] = "activation_norm_median"
    summary: ClassVar[str] = "median over tokens of the residual stream's norm, over the unedited model's"
    over: ClassVar[Over] = "layer"

    def measure(self, context: Context) -> Reading:
        """One median ratio a layer, by index."""
        base = context.base or context.observation
        ratios = counted_norms(context, context.observation.norms / base.norms)
        return by_layer(ratios.double().quantile(0.5, dim=1))


def counted_norms(context: Context, values: Tensor) -> Tensor:
    """The columns of `values`, [layers, tokens], that `text.skip_tokens` leaves.

    Raises:
        DataError: it leaves none.
    """
    skip = context.suite.text.skip_tokens
    counted = context.observation.places.position >= skip
    if not counted.any():
        raise DataError(
            f"text.skip_tokens: {skip} leaves no token of any document to measure activations on; "
            "skip fewer or give longer documents"
        )
    return values[:, counted]


def by_layer(values: Tensor) -> Reading:
    """A reading of one value a layer, from [layers]."""
    return Reading(over="layer", values={str(layer): value for layer, value in enumerate(values.tolist())})
