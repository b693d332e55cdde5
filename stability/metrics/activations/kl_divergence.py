"""How far the next-token distribution has moved on held-out text."""

from __future__ import annotations

from stability.errors import DataError
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading, Sample


class KLDivergence(Metric):
    """Mean KL(base ‖ edited) of the next-token distributions, in nats; 0 on the unedited model.

    Over the whole vocabulary, at every position with a next token. Where the unedited model's logits are not
    what its output head makes of one residual stream, at some positions, spread evenly: `sample` says so.
    """

    head = MetricHead(
        "kl_divergence",
        "mean KL(base || edited) of the next token on the held-out text",
        over="scalar",
        unit="nats",
        unedited=0.0,
    )

    def measure(self, context: Context) -> Reading:
        """A single value."""
        seen = context.observation
        measured, of = len(seen.divergences), len(seen.nll)
        if not measured:
            raise DataError("kl_divergence: no window of the text has a second token to predict")
        sample = Sample.of_all(measured, of, "positions")
        return self.single(seen.divergences.double().mean().item(), sample=sample)
