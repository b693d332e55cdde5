"""How far the next-token distribution has moved on held-out text."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from stability.errors import DataError
from stability.metrics.plugin.metric import Context, Metric, register
from stability.record import Reading
from stability.record.schema import Over

ROWS = 1_024  # at a time, so that the terms take little memory


@register
class KLDivergence(Metric):
    """Mean KL(base ‖ edited) of the next-token distributions, in nats; 0 on the unedited model.

    Over the whole vocabulary, at positions spread evenly over the text, as many as memory allows.
    """

    name: ClassVar[str] = "kl_divergence"
    summary: ClassVar[str] = "mean KL(base || edited) of the next token on the held-out text"
    over: ClassVar[Over] = "scalar"
    unit: ClassVar[str] = "nats"

    def measure(self, context: Context) -> Reading:
        """A single value; the unit says at how many positions it was taken."""
        now = context.observation
        base = context.base or now
        positions = len(now.log_probabilities)
        if not positions:
            raise DataError("kl_divergence: no document of the text has a second token to predict")
        divergence = mean_kl(base.log_probabilities, now.log_probabilities)
        unit = f"{self.unit}, mean of {positions} of {len(now.nll)} positions"
        return Reading(over=self.over, values={"": divergence}, unit=unit)


def mean_kl(p: Tensor, q: Tensor) -> float:
    """Mean over rows of KL(p ‖ q), from log-probabilities [rows, outcomes]; exactly 0 if they are equal."""
    total = 0.0
    for log_p, log_q in zip(torch.split(p, ROWS), torch.split(q, ROWS), strict=True):
        terms = log_p.exp().mul_(log_p - log_q)
        # What p gives no chance adds nothing, whatever q says.
        total += terms.masked_fill_(log_p == -torch.inf, 0).sum(dtype=torch.float64).item()
    return total / len(p)
