"""One check in one run at one checkpoint: its values are selected, compared and reduced to the worst."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from stability.judge.compare.baseline import Baseline, previous_checkpoint
from stability.judge.compare.references import compare, unedited_medians
from stability.judge.problems import CannotJudge, NothingSelected
from stability.judge.reduce import Worst, aggregate, worst_of
from stability.judge.select import (
    NOTHING_EDITED,
    Scene,
    check_fits,
    check_nonempty,
    frozen_parameters,
    place,
    select,
)
from stability.record import Checkpoint, Reading, Record, Run
from stability.suite import CheckSpec, SuiteSpec

Decided = Literal["held", "failed", "inconclusive"]
Outcome = Literal["held", "failed", "inconclusive", "error", "nothing"]
PLURALS = {
    "matrix": "matrices",
    "layer": "blocks",
    "pair": "pairs",
    "parameter": "parameters",
    "task": "tasks",
}


@dataclass(frozen=True)
class Finding:
    """What the documents say about one drop.

    `low` and `high` are one-sided limits of the change; `detects` is the smallest drop that would have been
    found with a probability of 0.8; `flip_rate` the share of documents whose answer changed.
    """

    outcome: Decided
    change: float
    low: float
    high: float
    p_value: float
    detects: float
    flip_rate: float
    n: int


@dataclass(frozen=True)
class Trial:
    """What came of it.

    `reason` says why there is no value; `finding` is there where noise was judged, and `detects` is then the
    worst over all tasks looked at.
    """

    seed: int
    edits: int
    outcome: Outcome
    value: float | None = None
    key: str = ""
    where: str = ""
    reason: str = ""
    coverage: str = ""
    finding: Finding | None = None
    detects: float | None = None


@dataclass(frozen=True, eq=False)
class Case:
    """One run of a record, with what it is compared with."""

    record: Record
    run: Run
    baseline: Baseline | None = None

    @cached_property
    def scene(self) -> Scene:
        """What selections depend on."""
        return Scene.of(self.record.model, self.run)


@dataclass(frozen=True, eq=False)
class Question:
    """One check, put to runs.

    `task` is the only task that it is about; None if it is about all, or not about tasks. `at_chance` says of
    each task that the unedited model only guesses at why it is left out.
    """

    name: str
    check: CheckSpec
    suite: SuiteSpec
    task: str | None = None
    at_chance: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """As it is shown: `task_drop[mmlu]`."""
        return f"{self.name}[{self.task}]" if self.check.for_each else self.name

    def reading(self, checkpoint: Checkpoint) -> Reading:
        """The metric's reading.

        Raises:
            CannotJudge: it was not measured there; with the reason.
        """
        metric = self.check.metric
        found = checkpoint.readings.get(metric) or checkpoint.costs.get(metric)
        if found is not None:
            return found
        reason = checkpoint.errors.get(metric) or checkpoint.skipped.get(metric)
        raise CannotJudge(
            f"not measured at {checkpoint.edits} edits: {reason}"
            if reason
            else f"not measured: the record has no {metric} at {checkpoint.edits} edits"
        )

    @property
    def reference_name(self) -> str:
        """What values are compared with, in words."""
        return "the baseline" if self.check.relative_to == "previous" else "the unedited model"

    def reference(self, case: Case, checkpoint: Checkpoint) -> Reading:
        """The reading to compare with: the unedited model's, or the baseline's after as many edits.

        Raises:
            CannotJudge: it was not measured, or there is no baseline that fits.
        """
        if self.check.relative_to != "previous":
            return self.reading(case.record.base)
        earlier = previous_checkpoint(case.record, case.run, checkpoint.edits, case.baseline)
        try:
            return self.reading(earlier)
        except CannotJudge as reason:
            raise CannotJudge(f"the baseline cannot be compared with: {reason}") from reason

    def values(self, case: Case, checkpoint: Checkpoint) -> tuple[Reading, dict[str, float], dict[str, str]]:
        """The reading, the values that the check looks at after comparison, and why others are left out.

        Raises:
            CannotJudge: the values cannot be had, or do not fit the check.
            NothingSelected: there are none.
        """
        scene = case.scene
        check_nonempty(self.check.where, scene)
        reading = self.reading(checkpoint)
        self.check_form(reading)
        if self.check.metric == "frozen_weights" and self.suite.may_change is not None:
            keys = frozen_parameters(reading, self.suite.may_change, scene)
            if not keys:
                return reading, {"": 0.0}, {}
        else:
            keys = select(reading, self.check.where, scene)
        if self.task is not None:
            keys = keys & {self.task}
            if not keys:
                raise CannotJudge(f"not measured: the record has no task {self.task!r}")
        left_out = {key: reason for key, reason in reading.left_out.items() if key in keys}
        left_out |= {key: reason for key, reason in self.at_chance.items() if key in keys}
        values = {key: value for key, value in reading.values.items() if key in keys and key not in left_out}
        values, without = self._compared(values, reading, case, checkpoint)
        left_out |= without
        if not values:
            self._explain_nothing(left_out, scene)
        return reading, values, left_out

    def check_form(self, reading: Reading) -> None:
        """See that the check can be asked of readings of this kind.

        Raises:
            CannotJudge: it cannot.
        """
        check = self.check
        check_fits(check.metric, reading.over, check.where)
        if reading.over != "task" and (check.for_each or check.noise):
            word = "for_each: task" if check.for_each else "noise"
            raise CannotJudge(f"'{word}' does not fit {check.metric}, which has no tasks")
        if check.noise and check.aggregate:
            raise CannotJudge("noise is told task by task; leave 'aggregate' out")

    def _compared(
        self, values: dict[str, float], reading: Reading, case: Case, checkpoint: Checkpoint
    ) -> tuple[dict[str, float], dict[str, str]]:
        check = self.check
        if check.relative_to is None:
            return values, {}
        if check.relative_to == "unedited":
            medians = unedited_medians(reading, case.scene)
            without = {key: "no matrix of its kind is unedited" for key in values if key not in medians}
            known = {key: value for key, value in values.items() if key in medians}
            return compare(known, medians, check.change, "the median of the unedited layers"), without
        references = self.reference(case, checkpoint).values
        return compare(values, references, check.change, self.reference_name), {}

    def _explain_nothing(self, left_out: Mapping[str, str], scene: Scene) -> None:
        """Say why no value is left over to look at."""
        if left_out:
            reason = next(iter(left_out.values()))
            more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
            if self.task is not None and self.suite.tasks.require_data:
                raise CannotJudge(f"{reason}, and the suite says 'require_data'")
            raise NothingSelected(reason if self.task else f"{next(iter(left_out))}: {reason}{more}")
        if not scene.edited_matrices and "edited" in str(self.check.where):
            raise NothingSelected(NOTHING_EDITED)
        raise NothingSelected("'where' selects nothing that was measured")

    def worst(self, values: Mapping[str, float]) -> Worst:
        """The value that decides."""
        if self.check.aggregate:
            return aggregate(values, self.check.aggregate, self.check.bound)
        return worst_of(values, self.check.bound)

    def trial(self, case: Case, checkpoint: Checkpoint) -> Trial:
        """Judge the check at one checkpoint, noise aside."""
        seed = case.run.seed
        try:
            reading, values, left_out = self.values(case, checkpoint)
        except CannotJudge as reason:
            return Trial(seed, checkpoint.edits, "error", reason=str(reason))
        except NothingSelected as reason:
            return Trial(seed, checkpoint.edits, "nothing", reason=str(reason))
        worst = self.worst(values)
        return Trial(
            seed=seed,
            edits=checkpoint.edits,
            outcome="held" if worst.holds else "failed",
            value=worst.value,
            key=worst.key,
            where=self.place(reading, worst.key, case),
            coverage=coverage(reading.over, len(values), left_out, self.check.aggregate),
        )

    def place(self, reading: Reading, key: str, case: Case) -> str:
        """How a person calls the place of a value; "" where the check's own name says it."""
        return "" if not key or key == self.task else place(reading.over, key, case.scene)


def coverage(over: str, looked_at: int, left_out: Mapping[str, str], how: str | None) -> str:
    """`mean of 27 pairs; 1 left out (base 0.93)`; "" for the worst of all there are, which needs no words."""
    if not left_out and (how is None or looked_at == 1):
        return ""
    words = f"{how or 'worst'} of {looked_at} {PLURALS.get(over, 'values')}"
    if left_out:
        words += f"; {len(left_out)} left out ({next(iter(left_out.values()))})"
    return words
