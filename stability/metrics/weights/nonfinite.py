"""Whether the model is made of numbers at all: NaN and infinities in its weights, then in its logits."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class NonFinite(Metric):
    """The number of parameters' elements that are NaN or infinite; if there is none, of logits on the text.

    Measured before everything else: with one of them nothing can be scored.
    """

    head = MetricHead(
        "nonfinite",
        "NaN or infinite weights, or if there are none, logits",
        over="scalar",
        streamed=True,
        unedited=0.0,
    )

    def __init__(self) -> None:
        self._base: dict[str, int] = {}

    def measure(self, context: Context) -> Reading:
        """A single count; its unit says of what."""
        weights = self._in_weights(context)
        if weights:
            return self.single(weights, unit="weights")
        return self.single(context.observation.nonfinite_logits, unit="logits")

    def _in_weights(self, context: Context) -> int:
        from torch import nn

        from stability.metrics.weights.steps.finite import count_nonfinite

        changed = set(context.changed)
        total = 0
        for name, tensor in context.view.stored.items():
            if not isinstance(tensor, nn.Parameter):
                continue
            if name in changed or name not in context.snapshot:  # inside of a wrapper, what was added too
                total += count_nonfinite(tensor)
            else:
                if name not in self._base:
                    self._base[name] = count_nonfinite(tensor)
                total += self._base[name]
        return total
