"""Whether the model is made of numbers at all: NaN and infinities in its weights, then in its logits."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from stability.metrics.plugin.metric import Context, Metric, register
from stability.record import Reading
from stability.record.schema import Over


@register
class NonFinite(Metric):
    """The number of parameters' elements that are NaN or infinite; if there is none, of logits on the text.

    Measured before everything else: with one of them nothing can be scored.
    """

    name: ClassVar[str] = "nonfinite"
    summary: ClassVar[str] = "NaN or infinite weights, or if there are none, logits"
    over: ClassVar[Over] = "scalar"

    def __init__(self) -> None:
        self._base: dict[str, int] = {}

    def measure(self, context: Context) -> Reading:
        """A single count; its unit says of what."""
        weights = self._in_weights(context)
        if weights:
            return Reading(over=self.over, values={"": float(weights)}, unit="weights")
        logits = context.observation.nonfinite_logits
        return Reading(over=self.over, values={"": float(logits)}, unit="logits")

    def _in_weights(self, context: Context) -> int:
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


def count_nonfinite(values: Tensor) -> int:
    """How many elements are NaN or infinite."""
    # A sum is finite if everything in it is, unless it overflows; then, and only then, look at each element.
    if torch.isfinite(values.detach().sum(dtype=torch.float32)):
        return 0
    return int((~torch.isfinite(values)).sum())
