"""How many elements of every parameter an edit has changed: what should be frozen must read 0."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.base import Context, Metric, register
from stability.record import Reading
from stability.record.schema import Over


@register
class FrozenWeights(Metric):
    """The number of elements that differ by their bytes from the unedited model.

    A changed persistent buffer is listed beside the parameters; one that was added or removed counts whole.
    """

    name: ClassVar[str] = "frozen_weights"
    summary: ClassVar[str] = "changed elements of each parameter"
    over: ClassVar[Over] = "parameter"
    unit: ClassVar[str] = "elements"

    def measure(self, context: Context) -> Reading:
        """One count a parameter, by name."""
        values = {name: 0.0 for name, _ in context.model.named_parameters()}
        for name in context.changed:
            values[name] = float(_changed(context, name))
        return Reading(over=self.over, values=values, unit=self.unit)


def _changed(context: Context, name: str) -> int:
    try:
        return context.snapshot.elements_changed(context.model, name)
    except KeyError:  # the unedited model has none of that name
        added = {**dict(context.model.named_parameters()), **dict(context.model.named_buffers())}
        return added[name].numel()
