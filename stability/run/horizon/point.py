"""A suite asked at one number of edits: does it hold there, and if not, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stability.errors import UsageError
from stability.judge import Verdict, judge
from stability.record import Record, Run
from stability.suite import SuiteSpec
from stability.suite.metrics import measured_by


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

    @property
    def metrics(self) -> frozenset[str]:
        """The metrics that the checks need; whether all weights are finite is always measured."""
        return frozenset({"nonfinite", *(check.metric for check in self.spec.checks.values())})

    def answer(self, record: Record, run: Run) -> Answer:
        """Whether a run with a single checkpoint holds, judged on its own."""
        judgement = judge(self.spec, record.model_copy(update={"runs": (run,)}))
        return Answer(judgement.verdicts)


@dataclass(frozen=True)
class Answer:
    """What a suite says at one number of edits."""

    verdicts: tuple[Verdict, ...]

    @property
    def harm(self) -> tuple[Verdict, ...]:
        """The verdicts that say it does not hold: failures first, then what could not be measured."""
        return tuple(
            verdict for status in ("fail", "error") for verdict in self.verdicts if verdict.status == status
        )

    @property
    def is_measured(self) -> bool:
        """Whether anything was looked at, and a check that does not hold failed by what was measured."""
        if self.harm:
            return self.harm[0].status == "fail"
        return any(verdict.status != "skip" for verdict in self.verdicts)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it does not hold, a line for each check."""
        return tuple(reason(verdict) for verdict in self.harm)


def reason(verdict: Verdict) -> str:
    """`edited_weight_norm: 2.96 <= 2.0 fails at transformer.h.1.mlp.c_proj.weight`, or what the error is."""
    if verdict.status == "error" or verdict.value is None:
        return f"{verdict.check}: {verdict.message or verdict.status}"
    where = f" at {verdict.where}" if verdict.where else ""
    return f"{verdict.check}: {verdict.value:.4g} {verdict.bound} fails{where}"


def _with_checks(spec: SuiteSpec, names: set[str]) -> SuiteSpec:
    checks = {
        name: check.model_copy(update={"at": None}) for name, check in spec.checks.items() if name in names
    }
    return spec.model_copy(update={"checks": checks})
