"""A suite asked at one number of edits: does it hold there, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stability.errors import UsageError
from stability.judge import Verdict, judge
from stability.record import Record, Run
from stability.suite import SuiteSpec
from stability.suite.metrics import measured_by

EVEN = 0.5  # the confidence of tests that fail where a drop past the bound is more likely than none


@dataclass(frozen=True)
class PointSuite:
    """A suite whose checks can be judged at any number of edits; `left_out` has the reasons for others.

    A check's `at` is ignored. Left out are checks relative to an earlier record, which has no values at these
    numbers of edits, and checks of time and memory, which do not depend on the number of edits.
    """

    spec: SuiteSpec
    left_out: dict[str, str]

    @classmethod
    def of(cls, spec: SuiteSpec) -> PointSuite:
        """The suite in this form.

        Raises:
            UsageError: no check is left.
        """
        left_out = {}
        for name, check in spec.checks.items():
            if check.relative_to == "previous":
                left_out[name] = "a baseline has its own checkpoints only"
            elif measured_by(check.metric) != "run":
                left_out[name] = f"{check.metric} is not measured of the model"
        if len(left_out) == len(spec.checks):
            why = "; ".join(left_out.values())
            raise UsageError(f"suite {spec.name}: no check can be asked at any number of edits ({why})")
        return cls(_with_checks(spec, set(spec.checks) - left_out.keys()), left_out)

    def only(self, names: Sequence[str]) -> PointSuite:
        """The same with some of the checks."""
        return PointSuite(_with_checks(self.spec, set(names)), self.left_out)

    def with_noise(self, **changes: object) -> PointSuite:
        """The same with other values in every check's `noise`."""
        checks = {
            name: check.model_copy(update={"noise": check.noise and check.noise.model_copy(update=changes)})
            for name, check in self.spec.checks.items()
        }
        return replace(self, spec=self.spec.model_copy(update={"checks": checks}))

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics that the checks need; whether all weights are finite is always measured."""
        return frozenset({"nonfinite", *(check.metric for check in self.spec.checks.values())})

    def answer(self, record: Record, run: Run) -> Answer:
        """Whether a run with a single checkpoint holds, judged on its own."""
        return Answer(judge(self.spec, record.model_copy(update={"runs": (run,)})).verdicts)

    def one_of(self, looks: int, record: Record, run: Run) -> Answer:
        """The same, as one of several numbers of edits that a search may look at.

        The search itself says what the documents leave open, so `max_detectable` and `on_inconclusive` are
        set aside.
        """
        alone = record.model_copy(update={"runs": (run,)})
        open_ended = self.with_noise(max_detectable=None, on_inconclusive="warn")
        verdicts = judge(open_ended.spec, alone, looks=looks).verdicts
        if all(verdict.status != "inconclusive" for verdict in verdicts):
            return Answer(verdicts)
        even = judge(open_ended.with_noise(confidence=EVEN).spec, alone).verdicts
        return Answer(verdicts, frozenset(verdict.check for verdict in even if verdict.status == "fail"))


@dataclass(frozen=True)
class Answer:
    """What a suite says at one number of edits; `likely` names checks that fail by tests at even odds."""

    verdicts: tuple[Verdict, ...]
    likely: frozenset[str] = frozenset()

    @property
    def harm(self) -> tuple[Verdict, ...]:
        """The verdicts that say it does not hold: failures first, then what could not be measured."""
        return tuple(
            verdict for status in ("fail", "error") for verdict in self.verdicts if verdict.status == status
        )

    @property
    def doubtful(self) -> tuple[Verdict, ...]:
        """The verdicts that rather fail than hold, but within noise."""
        return tuple(
            verdict
            for verdict in self.verdicts
            if verdict.status == "inconclusive"
            and verdict.severity == "fail"
            and verdict.check in self.likely
        )

    @property
    def does_not_fail(self) -> bool:
        """Whether nothing is shown to fail."""
        return not self.harm and self.is_measured

    @property
    def holds(self) -> bool:
        """Whether it rather holds than not, whatever noise allows."""
        return self.does_not_fail and not self.doubtful

    @property
    def is_shown_to_hold(self) -> bool:
        """Whether every value is inside its bound by more than noise."""
        counted = [verdict for verdict in self.verdicts if verdict.severity == "fail"]
        return self.does_not_fail and all(one.noise.shown_to_hold is not False for one in counted)

    @property
    def is_measured(self) -> bool:
        """Whether anything was looked at, and a check that does not hold failed by what was measured."""
        if self.harm:
            return self.harm[0].status == "fail"
        return any(verdict.status != "skip" for verdict in self.verdicts)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it does not hold, a line for each check."""
        return tuple(reason(verdict) for verdict in self.harm or self.doubtful)


def reason(verdict: Verdict) -> str:
    """`edited_weight_norm: 2.96 <= 2.0 fails at transformer.h.1.mlp.c_proj.weight`, or what the error is."""
    if verdict.status == "error" or verdict.value is None:
        return f"{verdict.check}: {verdict.message or verdict.status}"
    where = f" at {verdict.where}" if verdict.where else ""
    how = "is within noise" if verdict.status == "inconclusive" else "fails"
    return f"{verdict.check}: {verdict.value:.4g} {verdict.bound} {how}{where}"


def _with_checks(spec: SuiteSpec, names: set[str]) -> SuiteSpec:
    checks = {
        name: check.model_copy(update={"at": None}) for name, check in spec.checks.items() if name in names
    }
    return spec.model_copy(update={"checks": checks})
