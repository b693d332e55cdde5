"""The size of the residual stream after every block, as the median token sees it."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class ActivationNormMedian(Metric):
    """Median over tokens of the norm's ratio to the same token's on the unedited model; 1 on the latter.

    A few tokens with huge norms move the mean, but not this.
    """

    head = MetricHead(
        "activation_norm_median",
        "median over tokens of the residual stream's norm, over the unedited model's",
        over="layer",
        unedited=1.0,
    )

    def measure(self, context: Context) -> Reading:
        """One median ratio a layer, by index."""
        from stability.metrics.activations.steps.layers import by_layer, counted_norms

        base = context.base or context.observation
        ratios = counted_norms(context, context.observation.norms / base.norms)
        return by_layer(ratios.double().quantile(0.5, dim=1))
