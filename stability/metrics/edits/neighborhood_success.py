"""Whether edits stay where they belong: on which share of neighboring prompts the true target still won."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.edits.steps.right_after import mean_share
from stability.metrics.plugin.metric import Context, Metric, register
from stability.record.schema import Over, Reading


@register
class NeighborhoodSuccess(Metric):
    """Mean over the edits made so far of each one's share of neighborhood prompts on which `target_true` won.

    Measured right after each edit, as CounterFact scores it; edits that bring no such prompts do not count.
    """

    name: ClassVar[str] = "neighborhood_success"
    summary: ClassVar[str] = "share of an edit's neighboring prompts on which the true target stayed likelier"
    over: ClassVar[Over] = "scalar"

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1; `MeasurementError` if an edit has no `target_true`."""
        return Reading(over=self.over, values={"": mean_share(context, "neighborhood")})
