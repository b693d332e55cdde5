"""How many elements of every parameter an edit has changed: what should be frozen must read 0."""

from __future__ import annotations

from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Problem, Reading


class FrozenWeights(Metric):
    """The number of elements that differ by their bytes from the unedited model.

    A changed persistent buffer is listed beside the parameters; what was added or removed counts whole. A
    wrapped matrix counts by the elements of the map that stands in its place, not by what is inside of it.
    """

    head = MetricHead(
        "frozen_weights",
        "changed elements of each parameter",
        over="parameter",
        unit="elements",
        streamed=True,
        unedited=0.0,
    )

    def measure(self, context: Context) -> Reading:
        """One count a parameter, by name."""
        values = dict.fromkeys(context.snapshot.parameters, 0.0)
        altered = set(context.view.altered)
        for name in context.changed:
            if name not in altered:
                values[name] = float(context.view.elements_changed(name))
        other = Problem(
            kind="structure_changed", message="another module, or one with other hooks, than before"
        )
        left_out = dict.fromkeys(context.view.altered, other)
        return self.reading(values, left_out=left_out)
