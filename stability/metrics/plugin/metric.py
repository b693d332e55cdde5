"""What a metric is, what it is given, and where it is found by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

from torch import nn

from stability.data.edits import Edit
from stability.metrics.activations.steps.observation import Observation, observe
from stability.metrics.edits.steps.outcome import edit_outcomes
from stability.models import ModelMap, Snapshot, TokenizedText, View
from stability.record.schema import EditOutcome, Over, Reading
from stability.suite import SuiteSpec


class Skipped(Exception):  # noqa: N818  (nothing went wrong)
    """A metric has nothing to measure here; the message says why."""


@dataclass
class Context:
    """The model as it is at one checkpoint, and what has been done to it. Made anew for every checkpoint.

    `edits` and `outcomes` are those made so far, in order; both are empty on the unedited model. `changed`
    names the parameters that differ from the snapshot of the unedited model, as `view` has them.
    """

    model: nn.Module
    tokenizer: Any
    map: ModelMap
    snapshot: Snapshot
    suite: SuiteSpec
    text: TokenizedText
    seed: int = 0
    edits: tuple[Edit, ...] = ()
    outcomes: tuple[EditOutcome, ...] = ()
    changed: tuple[str, ...] = ()
    base: Observation | None = field(default=None, repr=False)

    @cached_property
    def view(self) -> View:
        """The model's matrices and parameters by the unedited model's names."""
        return View(self.model, self.map, self.snapshot)

    @cached_property
    def observation(self) -> Observation:
        """One pass of the model over the text, shared by every metric that reads activations or logits."""
        return observe(self.model, self.map, self.text, self.suite.probes, self.suite.text.skip_tokens)

    @cached_property
    def answers_now(self) -> dict[int, EditOutcome]:
        """How the model, as it is now, answers every edit's own prompt, by the edit's number from 1 on.

        Of several edits of one prompt and subject only the last should still hold, and is asked.
        """
        last = {edit.filled: number for number, edit in enumerate(self.edits, start=1)}
        bare = [
            replace(self.edits[number - 1], paraphrase_prompts=(), neighborhood_prompts=())
            for number in last.values()
        ]
        outcomes = edit_outcomes(self.model, self.tokenizer, bare)
        return dict(sorted(zip(last.values(), outcomes, strict=True)))


class Metric(ABC):
    """One kind of figure. An instance lives as long as the model under test, so it may keep what it fits."""

    name: ClassVar[str]
    summary: ClassVar[str]
    over: ClassVar[Over]
    unit: ClassVar[str] = ""

    def wanted(self, suite: SuiteSpec) -> bool:
        """Whether to measure it for this suite. Cheap metrics always are."""
        return True

    def fit(self, context: Context) -> None:  # noqa: B027  (most metrics need nothing)
        """Called once, on the unedited model, before the first measurement."""

    @abstractmethod
    def measure(self, context: Context) -> Reading:
        """Take one reading.

        Raises:
            Skipped: there is nothing to measure, and that is no fault.
            MeasurementError: it should have been measured and could not be.
        """


METRICS: dict[str, type[Metric]] = {}


def register(metric: type[Metric]) -> type[Metric]:
    """Class decorator: the metric is found by its name in suites."""
    if metric.name in METRICS:
        raise ValueError(f"two metrics are called {metric.name}")
    METRICS[metric.name] = metric
    return metric
