"""How well the model still predicts text that has nothing to do with the edits."""

from __future__ import annotations

from stability.errors import DataError
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class Perplexity(Metric):
    """exp of the mean negative log-likelihood of every token but the first of each window."""

    head = MetricHead("perplexity", "perplexity on the held-out text", over="scalar")

    def measure(self, context: Context) -> Reading:
        """A single value; infinite where the exponential overflows."""
        nll = context.observation.nll
        if not len(nll):
            raise DataError("perplexity: no window of the text has a second token to predict")
        return self.single(nll.double().mean().exp().item())
