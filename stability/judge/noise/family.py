"""Which drops are real: one-sided tests of every drop against the tolerance, kept honest over the family.

A check tests each of its tasks at each of its checkpoints and seeds. Holm's procedure decides which drops
exceed the tolerance so that all of them together are wrong with a probability of at most 1 - confidence. The
interval shown for a drop is the one at the level at which Holm decided it: it lies wholly past the tolerance
exactly if the drop fails. The smallest detectable drop is stated at alpha divided by the size of the family,
the level that the first drop to be found has to pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stability.judge.noise.drops import Drop
from stability.judge.noise.holm import holm
from stability.judge.noise.tasks import drop_of
from stability.judge.problems import CannotJudge
from stability.judge.reduce import distance, holds
from stability.judge.trial import Case, Decided, Finding, Question, Trial
from stability.record import Checkpoint
from stability.suite import Bound
from stability.suite.schema import Noise

DECISIVE: tuple[Decided, ...] = ("failed", "inconclusive", "held")


@dataclass(frozen=True, eq=False)
class Sample:
    """A check at one checkpoint of one run, and the trial that it came to; `place` is the caller's."""

    place: tuple[int, int]
    question: Question
    case: Case
    checkpoint: Checkpoint
    trial: Trial

    def drops(self) -> dict[str, Drop]:
        """The drop of each task that the check looks at here.

        Raises:
            CannotJudge: a task's documents do not allow it.
        """
        reading, values, _ = self.question.values(self.case, self.checkpoint)
        before = self.question.reference(self.case, self.checkpoint)
        reference = self.question.reference_name
        seed, edits = self.case.run.seed, self.checkpoint.edits
        when = f"after {edits} edits"
        return {
            task: drop_of(task, before, reading, when, (seed, edits), reference=reference) for task in values
        }

    def decided(self, findings: Mapping[str, Finding]) -> Sample:
        """The same, its trial decided by the findings on its tasks: the worst of the most decisive ones."""
        bound = self.question.check.bound
        task = min(
            findings,
            key=lambda task: (
                DECISIVE.index(findings[task].outcome),
                distance(bound, findings[task].change),
            ),
        )
        found = findings[task]
        name = "" if task == self.question.task else task
        return replace(
            self,
            trial=replace(
                self.trial,
                outcome=found.outcome,
                value=found.change,
                key=task,
                where=name,
                finding=found,
                detects=max(each.detects for each in findings.values()),
            ),
        )


def with_noise(samples: Sequence[Sample], bound: Bound, noise: Noise) -> list[Sample]:
    """The samples of one check, with every drop in them judged as one family.

    A trial that has no value, or one that is not finite, stays as it is; one whose documents do not allow a
    test becomes an error.
    """
    drops: list[dict[str, Drop]] = []
    tried: list[Sample] = []
    for sample in samples:
        found: dict[str, Drop] = {}
        value = sample.trial.value
        if value is not None and math.isfinite(value):
            try:
                found = sample.drops()
            except CannotJudge as reason:
                trial = Trial(sample.trial.seed, sample.trial.edits, "error", reason=str(reason))
                sample = replace(sample, trial=trial)
        tried.append(sample)
        drops.append(found)
    findings = iter(judge_drops([drop for found in drops for drop in found.values()], bound, noise))
    return [
        sample.decided({task: next(findings) for task in found}) if found else sample
        for sample, found in zip(tried, drops, strict=True)
    ]


def judge_drops(drops: Sequence[Drop], bound: Bound, noise: Noise) -> list[Finding]:
    """Judge the family of drops of one check; the bound is `>= -tolerance`."""
    tolerance = -bound.low
    alpha = 1 - noise.confidence
    p_values = [drop.p_value(tolerance) for drop in drops]
    findings = []
    for drop, p_value, decision in zip(drops, p_values, holm(p_values, alpha), strict=True):
        change = drop.now - drop.before
        low, high = drop.limits(1 - decision.level)
        within = holds(bound, change)
        outcome: Decided = "held" if within else "failed" if decision.rejected else "inconclusive"
        detects = drop.detects(tolerance, alpha / len(drops))
        findings.append(Finding(outcome, change, low, high, p_value, detects, drop.flip_rate, drop.n))
    return findings
