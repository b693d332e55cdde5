"""How well the model still predicts text that has nothing to do with the edits."""

from __future__ import annotations

from typing import ClassVar

from stability.errors import DataError
from stability.metrics.plugin.metric import Context, Metric, register
from stability.record import Reading
from stability.record.schema import Over


@register
class Perplexity(Metric):
    """exp of the mean negative log-likelihood of every token but the first of each document."""

    name: ClassVar[str] = "perplexity"
    summary: ClassVar[str] = "perplexity on the held-out text"
    over: ClassVar[Over] = "scalar"

    def measure(self, context: Context) -> Reading:
        """A single value; infinite where the exponential overflows."""
        nll = context.observation.nll
        if not len(nll):
            raise DataError("perplexity: no document of the text has a second token to predict")
        return Reading(over=self.over, values={"": nll.double().mean().exp().item()}, unit=self.unit)
