"""Downstream tasks through lm-eval: MMLU, GLUE, the world's, and any other of its tasks, groups and tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.errors import MeasurementError
from stability.metrics.plugin.metric import Context, Fitted, Metric
from stability.parts import MetricHead
from stability.record import Reading

if TYPE_CHECKING:
    from stability.metrics.tasks.steps.battery import Battery


class TaskScore(Metric):
    """The score of every task that the suite's checks name, as lm-eval computes it.

    A task's score is the first of its metrics (F1 for mrpc and qqp, as GLUE has it; `mrpc@acc` is another), a
    group's lm-eval's mean over its tasks, a tag's the plain mean. The model is scored in evaluation mode by a
    scorer that gives lm-eval's per-document results, but runs a shared context once.
    """

    head = MetricHead(
        "task_score", "score of a downstream task, through lm-eval", over="task", cost="on request"
    )

    depends_on = ("tasks",)

    def __init__(self) -> None:
        self._battery: Battery | None = None
        self._runs_code = False  # whether code of tasks may do what no key of the store says

    def fit(self, context: Context) -> None:
        """Build and tokenise every task's requests.

        Raises:
            DataError: a task's documents are missing from their folder, empty or malformed.
            MeasurementError: a task is unknown or unsupported, required documents are absent, or no check
                names a task; or a document lacks the field that `noise.cluster` names.
        """
        # lm-eval takes seconds to import, which only a suite with tasks should cost.
        from stability.metrics.tasks.steps.building import build_battery

        suite = context.suite
        self._runs_code = suite.tasks.trust_code
        if not suite.task_names:
            raise MeasurementError("task_score: no check names a task")
        self._battery = build_battery(
            suite.tasks,
            suite.task_names,
            context.model,
            context.map.head,
            context.tokenizer,
            suite.clusters,
        )

    def measure(self, context: Context) -> Reading:
        """Every task's score, with its documents' results; what has no documents is left out, and why."""
        if self._battery is None:
            raise MeasurementError("task_score was not fitted on the unedited model before it was measured")
        outcomes = self._battery.score(context.model, context.map.head)
        return self.reading(
            {name: outcome.value for name, outcome in outcomes.items()},
            tasks={name: outcome.result for name, outcome in outcomes.items()},
            left_out=dict(self._battery.left_out),
        )

    def fitted(self) -> Fitted | None:
        """The tasks as they were built, or a digest by which to know that they are the same when built again.

        None where the suite lets tasks bring code.
        """
        from stability.metrics.tasks.steps.keeping import keep

        return None if self._battery is None or self._runs_code else keep(self._battery)

    def load_fitted(self, context: Context, fitted: Fitted) -> bool:
        """Take over kept tasks, or build them; False if these are other ones."""
        from stability.metrics.tasks.steps.keeping import digest, kept

        self._battery = kept(fitted)
        if self._battery is not None:
            return True
        self.fit(context)
        return self._battery is not None and digest(self._battery) == fitted.values["digest"]
