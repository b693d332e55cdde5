"""What a metric is, and what it is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from stability.errors import StabilityError
from stability.parts import MetricHead
from stability.record import Problem, Reading, Sample

if TYPE_CHECKING:
    from torch import Tensor, nn

    from stability.data.edits import Edit
    from stability.metrics.scoring.observation import Observation
    from stability.models import ModelMap, Snapshot, TokenizedText, Tokenizer, View
    from stability.record import EditOutcome, TaskResult
    from stability.suite import SuiteSpec


@dataclass(frozen=True)
class Fitted:
    """What a metric has fitted on the unedited model, to be kept: values of JSON, and tensors by name."""

    values: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


class Skipped(StabilityError):  # noqa: N818  (nothing went wrong)
    """A metric has nothing to measure here; the message says why."""

    kind = "nothing_to_measure"


@dataclass
class Context:
    """The model as it is at one checkpoint, and what has been done to it. Made anew for every checkpoint.

    `edits` and `outcomes` are those made so far, in order; both are empty on the unedited model. `changed`
    names the parameters that differ from the snapshot of the unedited model, as `view` has them. `streams`,
    on the unedited model, are the edits that a run is to make, by seed.
    """

    model: nn.Module
    tokenizer: Tokenizer
    map: ModelMap
    snapshot: Snapshot
    suite: SuiteSpec
    text: TokenizedText
    seed: int = 0
    edits: tuple[Edit, ...] = ()
    outcomes: tuple[EditOutcome, ...] = ()
    changed: tuple[str, ...] = ()
    base: Observation | None = field(default=None, repr=False)
    streams: Mapping[int, tuple[Edit, ...]] = field(default_factory=dict, repr=False)

    @cached_property
    def view(self) -> View:
        """The model's matrices and parameters by the unedited model's names."""
        from stability.models import View

        return View(self.model, self.map, self.snapshot)

    @cached_property
    def observation(self) -> Observation:
        """One pass of the model over the text, shared by every metric that reads activations or logits."""
        from stability.metrics.scoring.observation import observe

        return observe(
            self.model,
            self.map,
            self.snapshot,
            self.text,
            self.suite.probes,
            self.suite.text.skip_tokens,
            self.base,
        )

    @cached_property
    def answers_now(self) -> dict[int, EditOutcome]:
        """How the model, as it is now, answers every edit's own prompt, by the edit's number from 1 on.

        Of several edits of one prompt and subject only the last should still hold, and is asked.
        """
        from stability.metrics.scoring.outcome import edit_outcomes

        last = {edit.filled: number for number, edit in enumerate(self.edits, start=1)}
        bare = [
            replace(self.edits[number - 1], paraphrase_prompts=(), neighborhood_prompts=())
            for number in last.values()
        ]
        outcomes = edit_outcomes(self.model, self.tokenizer, bare)
        return dict(sorted(zip(last.values(), outcomes, strict=True)))


class Metric(ABC):
    """One kind of figure. An instance lives as long as the model under test, so it may keep what it fits.

    Its head is read without torch, so its file imports nothing heavy at the top.
    """

    head: ClassVar[MetricHead]
    depends_on: ClassVar[tuple[Literal["text", "probes", "tasks", "edits"], ...]] = (
        "text",
        "probes",
        "tasks",
    )
    """The parts of the suite that its figures of the unedited model depend on."""

    def wanted(self, suite: SuiteSpec) -> bool:
        """Whether to measure it where no check asks for it, nor the suite's `record` by its name.

        By default whatever is not costly, and with `record: all` everything; but no metric of tasks, since
        nobody has named one.
        """
        is_cheap = self.head.cost != "on request" or "all" in suite.record
        return is_cheap and self.head.over != "task"

    def fit(self, context: Context) -> None:  # noqa: B027  (most metrics need nothing)
        """Called once, on the unedited model, before the first measurement."""

    def fitted(self) -> Fitted | None:
        """What `fit` and the first `measure` have worked out on the unedited model, to be kept on disk.

        With it the reading of that model is kept. None, as here, if nothing is to be kept: the metric is then
        fitted and measured anew in every run.
        """
        return None

    def load_fitted(self, context: Context, fitted: Fitted) -> bool:
        """In place of `fit`: take over what was `fitted` on the same model; False if that cannot be."""
        return False

    @abstractmethod
    def measure(self, context: Context) -> Reading:
        """Take one reading.

        Raises:
            Skipped: there is nothing to measure, and that is no fault.
            MeasurementError: it should have been measured and could not be.
        """

    def single(self, value: float, unit: str | None = None, sample: Sample | None = None) -> Reading:
        """A reading of a single value; its unit is the head's if none is given.

        `sample` says of how many of what it was taken, if not of all.
        """
        unit = self.head.unit if unit is None else unit
        return Reading(over="scalar", values={"": float(value)}, unit=unit, sample=sample)

    def reading(
        self,
        values: Mapping[str, float],
        *,
        base: Mapping[str, float] | None = None,
        tasks: Mapping[str, TaskResult] | None = None,
        left_out: Mapping[str, str | Problem] | None = None,
        sample: Sample | None = None,
    ) -> Reading:
        """A reading of a value for each of what the head says it is over.

        `base` are those of the unedited model, where the metric needs them; `tasks` what their documents
        gave; `left_out` says of each key that has no value why not; `sample` of how many of what
        it was taken, if not of all.
        """
        return Reading(
            over=self.head.over,
            values=dict(values),
            unit=self.head.unit,
            base=dict(base or {}),
            tasks=dict(tasks or {}),
            left_out={key: _problem(reason) for key, reason in (left_out or {}).items()},
            sample=sample,
        )


def _problem(reason: str | Problem) -> Problem:
    return reason if isinstance(reason, Problem) else Problem(kind="not_measured", message=reason)
