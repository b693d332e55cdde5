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
    laid round the model; keys of its configuration and of its generation configuration; and parts of the
    tokenizer that the editor was given, padding apart.
    """

    head = MetricHead(
        "structure_differences",
        "what differs besides weights: modules, patched methods, hooks, configurations, the tokenizer",
        over="scalar",
        unit="differences",
        unedited=0.0,
    )

    def __init__(self) -> None:
        self._tokenizer: dict[str, str] | None = None

    def fit(self, context: Context) -> None:
        """Take down the tokenizer."""
        from stability.models import tokenizer_parts

        self._tokenizer = tokenizer_parts(context.tokenizer)

    def measure(self, context: Context) -> Reading:
        """A single count; its key names the first of what differs."""
        found = context.snapshot.composition.differences(context.model)
        found += self._of_tokenizer(context)
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        return Reading(
            over="scalar",
            values={"; ".join(found[:NAMED]) + more: float(len(found))},
            unit=self.head.unit,
        )

    def _of_tokenizer(self, context: Context) -> list[str]:
        """The parts of the tokenizer that are otherwise than they were, such as `tokenizer, vocab`."""
        from stability.models import tokenizer_parts

        if self._tokenizer is None:  # of the tokenizer nothing is known, as where checkpoints are compared
            return []
        was, now = self._tokenizer, tokenizer_parts(context.tokenizer)
        return [f"tokenizer, {name}" for name in sorted({**was, **now}) if was.get(name) != now.get(name)]
