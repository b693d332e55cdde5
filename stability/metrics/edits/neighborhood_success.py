"""Whether edits stay where they belong: on which share of neighboring prompts the true target still won."""

from __future__ import annotations

from stability.metrics.edits.steps.right_after import mean_share
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class NeighborhoodSuccess(Metric):
    """Mean over the edits made so far of each one's share of neighborhood prompts on which `target_true` won.

    Measured right after each edit, as CounterFact scores it; edits that bring no such prompts do not count.
    """

    head = MetricHead(
        "neighborhood_success",
        "share of an edit's neighboring prompts on which the true target stayed likelier",
        over="scalar",
        about="edits",
    )

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1; `MeasurementError` if an edit has no `target_true`."""
        return self.single(mean_share(context, "neighborhood"))
