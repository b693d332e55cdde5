"""The size of the residual stream after every block: what sequential edits make shrink, or grow."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class ActivationNorm(Metric):
    """Mean over tokens of the L2 norm of the residual stream after each block, before the final norm.

    The first `text.skip_tokens` tokens of each window are left out: their norm is an outlier that would
    hide the rest (Gupta et al. 2025 do not say whether their figure 4 counts them).
    """

    head = MetricHead("activation_norm", "mean L2 norm of the residual stream after each block", over="layer")

    def measure(self, context: Context) -> Reading:
        """One mean a layer, by index."""
        from stability.metrics.activations.steps.layers import by_layer, counted_norms

        norms = counted_norms(context, context.observation.norms)
        return by_layer(norms.double().mean(1))
