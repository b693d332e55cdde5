"""Whether edits took: the share that held by probability, right after each was made."""

from __future__ import annotations

from stability.errors import MeasurementError
from stability.metrics.edits.steps.right_after import measured_outcomes
from stability.metrics.plugin.metric import Context, Metric
from stability.parts import MetricHead
from stability.record import Reading


class EditSuccess(Metric):
    """Over the edits made so far, the share with P(target) > P(target_true) right after the edit.

    Probabilities are means over the tokens' log-probabilities: CounterFact's efficacy success.
    """

    head = MetricHead(
        "edit_success",
        "share of edits whose target became likelier than the true one",
        over="scalar",
        about="edits",
    )

    def measure(self, context: Context) -> Reading:
        """A single value between 0 and 1; `MeasurementError` if an edit has no `target_true`."""
        outcomes = measured_outcomes(context)
        without = next((one.id for one in outcomes if one.success is None), None)
        if without is not None:
            raise MeasurementError(
                f"edit {without} has no target_true to compare with, so edit_success is not defined; "
                "use edit_accuracy for this source",
                kind="no_target_true",
            )
        held = sum(bool(one.success) for one in outcomes)
        return self.single(held / len(outcomes))
