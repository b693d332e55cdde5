"""How far the next-token distribution has moved on held-out text."""

from __future__ import annotations

from stability.errors import DataError
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class KLDivergence(Metric):
    """Mean KL(base ‖ edited) of the next-token distributions, in nats; 0 on the unedited model.

    Over the whole vocabulary, at positions spread evenly over the text, as many as memory allows.
    """

    head = MetricHead(
        "kl_divergence",
        "mean KL(base || edited) of the next token on the held-out text",
        over="scalar",
        unit="nats",
        unedited=0.0,
    )

    def measure(self, context: Context) -> Reading:
        """A single value; the unit says at how many positions it was taken."""
        from stability.metrics.activations.steps.divergence import mean_kl

        now = context.observation
        base = context.base or now
        positions = len(now.log_probabilities)
        if not positions:
            raise DataError("kl_divergence: no document of the text has a second token to predict")
        divergence = mean_kl(base.log_probabilities, now.log_probabilities)
        return self.single(
            divergence, unit=f"{self.head.unit}, mean of {positions} of {len(now.nll)} positions"
        )
