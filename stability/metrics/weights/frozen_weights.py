"""How many elements of every parameter an edit has changed: what should be frozen must read 0."""

from __future__ import annotations

from typing import ClassVar

from stability.metrics.plugin.metric import Context, Metric, register
from stability.record import Reading
from stability.record.schema import Over


@register
class FrozenWeights(Metric):
    """The number of elements that differ by their bytes from the unedited model.

    A changed persistent buffer is listed beside the parameters; what was added or removed counts whole. A
    wrapped matrix counts by the elements of the map that stands in its place, not by what is inside of it.
    """

    name: ClassVar[str] = "frozen_weights"
    summary: ClassVar[str] = "changed elements of each parameter"
    over: ClassVar[Over] = "parameter"
    unit: ClassVar[str] = "elements"

    def measure(self, context: Context) -> Reading:
        """One count a parameter, by name."""
        values = dict.fromkeys(context.snapshot.parameters, 0.0)
        altered = set(context.view.altered)
        for name in context.changed:
            if name not in altered:
                values[name] = float(context.view.elements_changed(name))
        left_out = dict.fromkeys(context.view.altered, "another module, or one with other hooks, than before")
        return Reading(over=self.over, values=values, unit=self.unit, left_out=left_out)
