"""The judge's output: a verdict for each check and editor."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from stability.record import Problem
from stability.suite import SuiteFile

Status = Literal["pass", "fail", "warn", "inconclusive", "error", "skip"]
WORST_FIRST: tuple[Status, ...] = ("fail", "error", "warn", "inconclusive", "pass", "skip")


@dataclass(frozen=True)
class Point:
    """The worst value of a check at one checkpoint of one seed, with its limits if noise was tested."""

    edits: int
    value: float
    where: str = ""
    outcome: Literal["held", "failed", "inconclusive"] = "held"
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class SeedVerdict:
    """A check at one seed: its bracket (held_to, failed_at], and its worst value at each checkpoint.

    `held_to` is the last checkpoint that held before the first that failed; None if the first one judged was
    the unedited model and it failed.
    """

    seed: int
    status: Status
    held_to: int | None
    failed_at: int | None
    points: tuple[Point, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class WorstValue:
    """The value that decides a check, and where it was measured.

    `key` is the value's key in the record, `where` the same for people. `margin` is the distance to the bound
    as a share of the bound, negative outside.
    """

    value: float | None = None
    where: str = ""
    key: str = ""
    checkpoint: int | None = None
    seed: int | None = None
    margin: float | None = None


@dataclass(frozen=True)
class Bracket:
    """(`held_to`, `failed_at`]: between which edits a check failed, at the seed that failed first."""

    held_to: int | None = None
    failed_at: int | None = None


@dataclass(frozen=True)
class NoiseFigures:
    """How certain a drop is.

    `interval` holds one-sided limits of the value, each at the stated confidence (see `judge.noise`);
    `detects` is the smallest drop that the documents could have shown; `flip_rate` the share of documents
    whose answer changed. `shown_to_hold` says whether the limits of every drop are inside the bound. `level`
    is that of each limit.

    Two are of a model that dropped nothing at all: `by_chance`, the probability that any value of the check
    is as low as this one, if it is past the bound; and, with `on_inconclusive: fail`, `false_failures`, that
    the check fails. `documents_to_detect` would detect a drop of `max_detectable`, if these do not.
    """

    interval: tuple[float, float] | None = None
    p_value: float | None = None
    detects: float | None = None
    flip_rate: float | None = None
    shown_to_hold: bool | None = None
    level: float | None = None
    by_chance: float | None = None
    false_failures: float | None = None
    documents_to_detect: float | None = None


@dataclass(frozen=True)
class Verdict:
    """One check of one editor, over all checkpoints and seeds.

    `task` is set if the verdict covers that task only. `message` is for people, shown next to the figures;
    `problem` says as data why the check could not be judged, or that the value is within noise. `coverage`
    says how many values the check looked at, how many were left out, and why.
    """

    editor: str
    check: str  # with the task, as shown: task_drop[mmlu]
    name: str  # as the suite calls it: task_drop
    metric: str
    status: Status
    bound: str
    severity: Literal["fail", "warn"] = "fail"
    relative_to: Literal["base", "unedited", "previous"] | None = None
    change: Literal["ratio", "absolute", "relative"] | None = None  # None where nothing is compared
    task: str | None = None
    worst: WorstValue = WorstValue()
    bracket: Bracket = Bracket()
    noise: NoiseFigures = NoiseFigures()
    message: str = ""
    problem: Problem | None = None
    coverage: str = ""
    seeds: tuple[SeedVerdict, ...] = ()

    @property
    def within_noise(self) -> bool:
        """Whether everything past the bound may be due to chance, whether or not it counts as failed."""
        return self.problem is not None and self.problem.kind == "within_noise"

    @property
    def value(self) -> float | None:
        """The worst value; None if nothing was measured."""
        return self.worst.value

    @property
    def where(self) -> str:
        """Where the worst value is, for people."""
        return self.worst.where

    @property
    def key(self) -> str:
        """The worst value's key in the record."""
        return self.worst.key

    @property
    def checkpoint(self) -> int | None:
        """The number of edits after which the worst value was measured."""
        return self.worst.checkpoint

    @property
    def seed(self) -> int | None:
        """The seed of the worst value."""
        return self.worst.seed

    @property
    def margin(self) -> float | None:
        """How far the worst value is inside the bound, as a share of the bound."""
        return self.worst.margin

    @property
    def held_to(self) -> int | None:
        """The last checkpoint that held before the first that failed."""
        return self.bracket.held_to

    @property
    def failed_at(self) -> int | None:
        """The first checkpoint that failed."""
        return self.bracket.failed_at

    @property
    def interval(self) -> tuple[float, float] | None:
        """The limits of the worst value, if noise was tested."""
        return self.noise.interval

    @property
    def p_value(self) -> float | None:
        """The probability of such a drop by chance alone, if noise was tested."""
        return self.noise.p_value

    @property
    def detects(self) -> float | None:
        """The smallest drop that the documents could have shown."""
        return self.noise.detects

    @property
    def flip_rate(self) -> float | None:
        """The share of documents whose answer changed."""
        return self.noise.flip_rate

    def as_dict(self) -> dict[str, Any]:
        """All fields, those of its groups included, with the problem as in a record."""
        content: dict[str, Any] = {}
        for key, value in vars(self).items():
            content |= asdict(value) if key in GROUPS else {key: value}
        problem = None if self.problem is None else self.problem.model_dump(exclude_none=True)
        return {
            **content,
            "problem": problem,
            "within_noise": self.within_noise,
            "seeds": [asdict(seed) for seed in self.seeds],
        }


GROUPS = ("worst", "bracket", "noise")


@dataclass(frozen=True)
class RunSummary:
    """One run: what was done, and how many edits it made."""

    seed: int
    status: Literal["complete", "truncated", "failed"]
    edits: int
    seconds: float
    edits_per_key_dimension: float | None = None  # N / d_k of the edited matrices, the smallest d_k
    error: str = ""
    edits_known: bool = True  # False for a checkpoint found on disk, which counts as one


@dataclass(frozen=True)
class EditorJudgement:
    """Every verdict of one editor, in the order of the suite, and its runs."""

    editor: str
    verdicts: tuple[Verdict, ...]
    runs: tuple[RunSummary, ...]
    notes: tuple[str, ...] = ()  # for the reader, such as fewer seeds or edits than the suite asks for

    @property
    def counts(self) -> dict[Status, int]:
        """How many verdicts there are of each status."""
        return count(self.verdicts)

    @property
    def worst_first(self) -> tuple[Verdict, ...]:
        """The verdicts in the order they are shown: by status, failed first, then as in the suite."""
        return tuple(sorted(self.verdicts, key=lambda verdict: WORST_FIRST.index(verdict.status)))

    @property
    def held_to(self) -> int | None:
        """The largest measured number of edits at which no check had failed; None if any is an error."""
        if self.counts["error"]:
            return None
        failed = [verdict.held_to or 0 for verdict in self.verdicts if verdict.status == "fail"]
        return min(failed, default=min((run.edits for run in self.runs), default=None))

    def as_dict(self) -> dict[str, Any]:
        """All verdicts, runs and notes, as plain values."""
        return {
            "editor": self.editor,
            "verdicts": [verdict.as_dict() for verdict in self.verdicts],
            "runs": [asdict(run) for run in self.runs],
            "notes": self.notes,
        }


@dataclass(frozen=True)
class OtherSuite:
    """A suite that judged a record which was made by another one.

    `command` judges the record by it again; empty if the record or the suite is in no file.
    """

    file: SuiteFile
    command: str = ""


@dataclass(frozen=True)
class Judgement:
    """A suite's judgement of a record; `other` is the suite if the record was made by another one."""

    suite: str
    model: str
    editors: tuple[EditorJudgement, ...]
    notes: tuple[str, ...] = field(default=())
    other: OtherSuite | None = None
    is_unfinished: bool = False  # runs may be missing, or the rest of one

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every verdict, editor by editor."""
        return tuple(verdict for editor in self.editors for verdict in editor.verdicts)

    @property
    def counts(self) -> dict[Status, int]:
        """How many verdicts there are of each status."""
        return count(self.verdicts)

    def exit_status(self, *, strict: bool = False) -> int:
        """The exit status for a pipeline.

        1 if any check failed (`strict`: or warned or was inconclusive); else 3 if any is an error, if the run
        did not finish, or if nothing was judged: there is no editor, or one has only skips; else 0. A
        measured failure comes before an error, because an editor that destroys the model causes both.
        """
        counts = self.counts
        if counts["fail"] or (strict and (counts["warn"] or counts["inconclusive"])):
            return 1
        judged = all(any(verdict.status != "skip" for verdict in editor.verdicts) for editor in self.editors)
        return 3 if counts["error"] or self.is_unfinished or not self.editors or not judged else 0

    @property
    def passed(self) -> bool:
        """Whether every check held: none failed, and none could not be measured."""
        return self.exit_status() == 0

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON: tuples are lists, and numbers that are not finite are strings."""
        content = {
            "suite": self.suite,
            "model": self.model,
            "editors": [editor.as_dict() for editor in self.editors],
            "notes": self.notes,
            "counts": self.counts,
            "exit_status": self.exit_status(),
        }
        return {key: plain(value) for key, value in content.items()}


def count(verdicts: tuple[Verdict, ...]) -> dict[Status, int]:
    """How many verdicts there are of each status, zeros included."""
    found = Counter(verdict.status for verdict in verdicts)
    return {status: found[status] for status in WORST_FIRST}


def plain(value: Any) -> Any:
    """Lists for tuples; NaN, Infinity and -Infinity as strings, which JSON has no numbers for."""
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
