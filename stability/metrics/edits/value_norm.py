"""How long the values are that the editor writes: lengths that grow foretell that weights will."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.edits.steps.reported import mean_reported
from stability.metrics.plugin.metric import Context, Metric, register
from stability.record import Reading
from stability.record.schema import Over


@register
class ValueNorm(Metric):
    """Mean ‖v*‖ of the edits since the previous checkpoint, as the editor reports it.

    v* is the vector that a locate-then-edit method searches for the subject's key. Norm-anchor scaling (arXiv
    2602.02543) holds its growth to be what makes the weights grow.
    """

    name: ClassVar[str] = "value_norm"
    summary: ClassVar[str] = "mean length of the values that were written since the previous checkpoint"
    over: ClassVar[Over] = "scalar"

    def measure(self, context: Context) -> Reading:
        """A single value; skipped where the editor does not report it."""
        return mean_reported(context, self.name, "value norm")
