"""Several editors, or versions of one, side by side: which values got better or worse beyond noise.

The rows are a suite's checks: a check says which value to look at, and its bound says which way is better.
Every contender is compared with the first one, on the same edits. Scores of tasks are paired document by
document at each seed. Other values are paired seed by seed, and their spread over the seeds is the noise
(Student's t); with a single seed there is no test, and only the change is shown. All tests of a contender
are one family, judged by Holm's procedure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from stability.errors import UsageError
from stability.judge.baseline import differences, edits_up_to
from stability.judge.inputs import Assertion
from stability.judge.judging import assertions_of, judge
from stability.judge.noise.drops import Drop
from stability.judge.noise.holm import holm
from stability.judge.noise.tasks import drop_of
from stability.judge.problems import CannotJudge
from stability.judge.side_by_side.change import ChangeCell, Outcome, SeedChange, mean
from stability.judge.verdict import EditorJudgement, plain
from stability.judge.words import UNFINISHED
from stability.record import Checkpoint, Record, Run, runs_by_editor
from stability.suite import CheckSpec, SuiteSpec

CONFIDENCE = 0.95
MAY_DIFFER = ("run.edits.batch",)  # the batch size may be a setting of the editor


@dataclass(frozen=True)
class KnownHorizon:
    """The largest number of edits at which a suite holds: median and worst over seeds, from horizon.json.

    The median is at least and at most `median_at`, beyond noise; None: unknown, or no end was shown.
    """

    median: float | None
    worst: float | None
    median_at: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True, eq=False)
class Contender:
    """One editor of one record, called `label` in that record, with its horizon if it is known."""

    name: str
    record: Record
    label: str
    horizon: KnownHorizon | None = None

    @cached_property
    def runs(self) -> dict[int, Run]:
        """Its runs, by seed."""
        return {run.seed: run for run in runs_by_editor(self.record)[self.label]}

    @property
    def ended_early(self) -> str:
        """Why there is less of it than was asked for; "" if there is not."""
        runs = tuple(self.runs.values())
        failed = next((run for run in runs if run.status == "failed" and run.error is not None), None)
        if failed is not None and failed.error is not None and failed.error.kind != "interrupted":
            return f"failed at edit {(failed.failed_at or 0) + 1}: {failed.error.message}"
        return UNFINISHED if self.record.model_copy(update={"runs": runs}).is_unfinished else ""

    def at(self, seed: int, edits: int) -> Checkpoint | None:
        """The checkpoint of a run; None if there is none."""
        return next((point for point in self.runs[seed].checkpoints if point.edits == edits), None)

    def judged(self, suite: SuiteSpec, seeds: Sequence[int]) -> EditorJudgement:
        """The suite's judgement of its runs at these seeds."""
        runs = tuple(self.runs[seed] for seed in seeds)
        return judge(suite, self.record.model_copy(update={"runs": runs})).editors[0]


@dataclass(frozen=True)
class CheckRow:
    """One check's value for each contender, in order."""

    check: str
    metric: str
    bound: str
    cells: tuple[ChangeCell, ...]


@dataclass(frozen=True)
class Standing:
    """More about a contender: how many edits its suite held, how long one took, why it ended early."""

    name: str
    held_to: int | None
    seconds_an_edit: float | None
    horizon: KnownHorizon | None = None
    ended_early: str = ""


@dataclass(frozen=True)
class EditorComparison:
    """Contenders after `edits` edits, each compared with the first."""

    suite: str
    model: str
    edits: int
    seeds: tuple[int, ...]
    confidence: float
    standings: tuple[Standing, ...]
    rows: tuple[CheckRow, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the contenders."""
        return tuple(standing.name for standing in self.standings)

    @property
    def by_horizon(self) -> tuple[str, ...]:
        """The contenders whose horizon is known, the longest first."""
        known = [one for one in self.standings if one.horizon is not None and one.horizon.median is not None]
        return tuple(one.name for one in sorted(known, key=lambda one: _longest_first(one.horizon)))

    def checks(self, name: str, outcome: Outcome) -> tuple[str, ...]:
        """The checks in which a contender has this outcome."""
        index = self.names.index(name)
        return tuple(row.check for row in self.rows if row.cells[index].outcome == outcome)

    @property
    def is_worse(self) -> bool:
        """Whether any contender is worse than the first in any check, beyond noise."""
        return any(self.checks(name, "worse") or self.checks(name, "mixed") for name in self.names[1:])

    @property
    def is_whole(self) -> bool:
        """Whether every contender came to its end, and has all values that the first has."""
        if any(standing.ended_early for standing in self.standings):
            return False
        return not any(
            cell.outcome == "missing" and row.cells[0].value is not None
            for row in self.rows
            for cell in row.cells[1:]
        )

    def exit_status(self, *, strict: bool = False) -> int:
        """0; with `strict` 1 if anything is worse, or else 3 if not all could be compared."""
        if not strict:
            return 0
        return 1 if self.is_worse else 0 if self.is_whole else 3

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        content: dict[str, Any] = plain(asdict(self))
        return content


def compare_editors(
    suite: SuiteSpec, contenders: Sequence[Contender], confidence: float = CONFIDENCE
) -> EditorComparison:
    """Compare every contender with the first, at the last checkpoint that all of them have.

    Raises:
        UsageError: there are fewer than two, or they were measured on different things.
    """
    if len(contenders) < 2:
        raise UsageError("compare needs two runs or more, or one run of two editors or more")
    seeds = _common_seeds(contenders)
    edits = _common_edits(contenders, seeds)
    asked = suite.model_copy(update={"checks": _without_previous(suite)})
    judged = [contender.judged(asked, seeds) for contender in contenders]
    checks = [
        assertion for name, check in asked.checks.items() for assertion in assertions_of(name, check, asked)
    ]
    values = [[_values(one, assertion.id, edits) for one in judged] for assertion in checks]
    columns = [
        _column(
            [
                _change(assertion, contenders[0], contender, (row[0], row[index]), edits)
                for assertion, row in zip(checks, values, strict=True)
            ],
            confidence,
        )
        for index, contender in enumerate(contenders)
        if index
    ]
    rows = tuple(
        CheckRow(
            assertion.id,
            assertion.check.metric,
            assertion.check.bound.text,
            (_alone(values[number][0]), *(column[number] for column in columns)),
        )
        for number, assertion in enumerate(checks)
    )
    standings = tuple(
        Standing(
            contender.name,
            one.held_to,
            _seconds(contender, seeds, edits),
            contender.horizon,
            contender.ended_early,
        )
        for contender, one in zip(contenders, judged, strict=True)
    )
    model = contenders[0].record.model.name
    return EditorComparison(suite.name, model, edits, tuple(seeds), confidence, standings, rows)


def _without_previous(suite: SuiteSpec) -> dict[str, CheckSpec]:
    """The suite without checks that compare with an earlier record: here the contenders are compared."""
    return {name: check for name, check in suite.checks.items() if check.relative_to != "previous"}


def _column(changes: Sequence[SeedChange], confidence: float) -> list[ChangeCell]:
    """The cells of one contender, whose tests are one family."""
    tests = sum(len(change.p_values) for change in changes)
    changes = [change.of_enough(tests) for change in changes]
    decisions = iter(holm([p for change in changes for p in change.p_values], 1 - confidence))
    return [change.cell([next(decisions) for _ in change.p_values]) for change in changes]


def _alone(values: Mapping[int, float]) -> ChangeCell:
    """A cell of the first contender, which is not compared with anything."""
    return ChangeCell(mean(values.values()), outcome="same") if values else ChangeCell()


def _values(judged: EditorJudgement, check: str, edits: int) -> dict[int, float]:
    """The value that decides a check after `edits` edits, by seed; empty if any seed has none."""
    verdict = next((verdict for verdict in judged.verdicts if verdict.check == check), None)
    found = {
        seed.seed: point.value
        for seed in (verdict.seeds if verdict else ())
        for point in seed.points
        if point.edits == edits
    }
    return found if verdict and len(found) == len(verdict.seeds) else {}


def _change(
    assertion: Assertion,
    first: Contender,
    contender: Contender,
    values: tuple[Mapping[int, float], Mapping[int, float]],
    edits: int,
) -> SeedChange:
    before, now = values
    check, task = assertion.check, assertion.task
    found = {
        seed: _drop(check, task, first.at(seed, edits), contender.at(seed, edits), seed)
        for seed in (now if task and before else ())
    }
    drops = {seed: drop for seed, drop in found.items() if drop is not None}
    points = [one.at(seed, edits) for one in (first, contender) for seed in now]
    scale = _scale(check, [first.record.base, *(point for point in points if point is not None)])
    tested = drops if len(drops) == len(now) else {}
    return SeedChange(check.bound, before, now, tested, scale, _whole(check, task, first.record.base))


def _whole(check: CheckSpec, task: str | None, unedited: Checkpoint) -> float:
    """The unedited score that the check's values of a task are shares of; 1 if they are no shares."""
    reading = unedited.readings.get(check.metric)
    if task is None or reading is None or check.relative_to is None or check.change == "absolute":
        return 1.0
    return reading.values.get(task, 1.0)


def _scale(check: CheckSpec, points: Sequence[Checkpoint]) -> float:
    """The size of the numbers whose differences the check's values are, as `judge.compare.scale_of`."""
    if check.change == "ratio" or check.relative_to is None:
        return 0.0
    readings = (point.readings.get(check.metric) for point in points)
    sizes = [abs(value) for reading in readings if reading is not None for value in reading.values.values()]
    largest = max((size for size in sizes if math.isfinite(size)), default=0.0)
    return 1.0 if check.change == "relative" else largest


def _drop(
    check: CheckSpec, task: str | None, before: Checkpoint | None, now: Checkpoint | None, seed: int
) -> Drop | None:
    """The task's drop from the first run to the other; None without results by document to pair."""
    if task is None:
        return None
    readings = [point.readings.get(check.metric) for point in (before, now) if point is not None]
    if len(readings) < 2 or readings[0] is None or readings[1] is None:
        return None
    when, first = f"at seed {seed}", "the first run"
    cluster = check.noise.cluster if check.noise else None
    try:
        return drop_of(task, readings[0], readings[1], when, (seed,), reference=first, cluster=cluster)
    except CannotJudge:
        return None


def _common_seeds(contenders: Sequence[Contender]) -> list[int]:
    first = contenders[0]
    for other in contenders[1:]:
        found = differences(other.record, first.record, MAY_DIFFER)
        if found:
            raise UsageError(f"{other.name} cannot be compared with {first.name}: {'; '.join(found)}")
    seeds = sorted(set.intersection(*(set(contender.runs) for contender in contenders)))
    if not seeds:
        raise UsageError("there is no seed that all of them were run at")
    return seeds


def _common_edits(contenders: Sequence[Contender], seeds: Sequence[int]) -> int:
    """The last checkpoint that every run has; the edits up to it have to be the same in all."""
    measured = [
        {point.edits for point in contender.runs[seed].checkpoints}
        for contender in contenders
        for seed in seeds
    ]
    common = set.intersection(*measured)
    if not common:
        raise UsageError("there is no number of edits after which all of them were measured")
    edits = max(common)
    for seed in seeds:
        wanted = edits_up_to(contenders[0].runs[seed], edits)
        for other in contenders[1:]:
            if edits_up_to(other.runs[seed], edits) != wanted:
                raise UsageError(f"{other.name} made other edits than {contenders[0].name} at seed {seed}")
    return edits


def _seconds(contender: Contender, seeds: Sequence[int], edits: int) -> float | None:
    """Mean seconds for an edit, over the seeds; None if not recorded."""
    points = [contender.at(seed, edits) for seed in seeds]
    costs = [point.costs.get("edit_seconds") for point in points if point is not None]
    known = [cost.values[""] for cost in costs if cost is not None and "" in cost.values]
    return mean(known) if known else None


def _longest_first(horizon: KnownHorizon | None) -> tuple[float, float]:
    return (-(horizon.median or 0), -(horizon.worst or 0)) if horizon else (0.0, 0.0)
