"""What an editor has changed that is no weight, and so is lost, or surprises, when the weights are saved."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading

NAMED = 3  # differences that a reading's key says


class StructureDifferences(Metric):
    """How many modules, methods, hooks, settings of modules and keys of configurations are otherwise.

    Counted are modules that were replaced, added or removed; a `forward` or another method that was patched,
    on a module or on its class; hooks; plain attributes of modules, such as an epsilon or a scale; what was
    laid round the model; and keys of its configuration and of its generation configuration.
    """

    head = MetricHead(
        "structure_differences",
        "what differs besides weights: modules, patched methods, hooks, configurations",
        over="scalar",
        unit="differences",
        unedited=0.0,
    )

    def measure(self, context: Context) -> Reading:
        """A single count; its key names the first of what differs."""
        found = context.snapshot.composition.differences(context.model)
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        return Reading(
            over="scalar",
            values={"; ".join(found[:NAMED]) + more: float(len(found))},
            unit=self.head.unit,
        )
