"""Judging one check of one editor: every run, every checkpoint, then one verdict for each of its tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from stability.judge.gated import not_asked
from stability.judge.noise.family import Sample, with_noise
from stability.judge.noise.tasks import at_chance
from stability.judge.summarise import summarise
from stability.judge.trial import Case, Question, Trial
from stability.judge.verdict import Verdict
from stability.record import Checkpoint, Record, Run
from stability.suite import CheckSpec, SuiteSpec

DEFAULT_CONFIDENCE = 0.95  # of being above chance, where the check states no noise


def judge_check(name: str, check: CheckSpec, suite: SuiteSpec, cases: Sequence[Case]) -> list[Verdict]:
    """The verdicts of one check over the runs of one editor, in the order of its tasks."""
    chance = tasks_at_chance(check, cases[0].record)
    tasks: Sequence[str | None] = check.for_each.get("task") or (check.where.task,)
    questions = [Question(name, check, suite, task, chance) for task in tasks]
    if (reason := cases[0].record.not_asked.get(check.metric)) is not None:
        return not_asked(questions, cases, reason)
    samples: list[Sample] = []
    trials: dict[tuple[int, int], list[Trial]] = {}
    for q, question in enumerate(questions):
        for c, case in enumerate(cases):
            checkpoints, missing = covered(check, case.record, case.run)
            trials[q, c] = missing
            samples += [
                Sample((q, c), question, case, checkpoint, question.trial(case, checkpoint))
                for checkpoint in checkpoints
            ]
    if check.noise:
        samples = with_noise(samples, check.bound, check.noise)
    for sample in samples:
        trials[sample.place].append(sample.trial)
    verdicts = [
        summarise(question, cases, [trials[q, c] for c in range(len(cases))], unanswerable(question, cases))
        for q, question in enumerate(questions)
    ]
    return _none_unjudged(verdicts) if is_about_tasks(check, cases[0].record) else verdicts


def is_about_tasks(check: CheckSpec, record: Record) -> bool:
    """Whether the metric has a value for each task."""
    reading = record.base.readings.get(check.metric)
    return bool(check.for_each or check.where.task) or (reading is not None and reading.over == "task")


def _none_unjudged(verdicts: list[Verdict]) -> list[Verdict]:
    """A check of tasks that are all skipped could not have failed, so it is an error."""
    if any(verdict.status != "skip" for verdict in verdicts):
        return verdicts
    return [
        replace(verdict, status="error", message=f"every task of this check was skipped: {verdict.message}")
        for verdict in verdicts
    ]


def tasks_at_chance(check: CheckSpec, record: Record) -> dict[str, str]:
    """The tasks that cannot show a drop because the unedited model only guesses, each with the reason."""
    reading = record.base.readings.get(check.metric)
    is_drop = check.relative_to in ("base", "previous") and math.isfinite(check.bound.low)
    if reading is None or reading.over != "task" or not is_drop:
        return {}
    confidence = check.noise.confidence if check.noise else DEFAULT_CONFIDENCE
    wanted = check.for_each.get("task") or (
        (check.where.task,) if check.where.task else tuple(reading.values)
    )
    reasons = {task: at_chance(task, reading, confidence) for task in wanted}
    return {task: reason for task, reason in reasons.items() if reason}


def unanswerable(question: Question, cases: Sequence[Case]) -> str | None:
    """Why the check makes no sense for this record at all: the unedited model itself is past the bound."""
    if question.check.at is not None and 0 in question.check.at:
        return None  # the check is about the unedited model, too: then it simply fails there
    for case in cases:
        trial = question.trial(case, case.record.base)
        if trial.outcome == "failed" and trial.value is not None:
            where = f" at {trial.where}" if trial.where else ""
            return f"base is past this bound ({trial.value:.4g}{where}, bound {question.check.bound.text})"
    return None


def covered(check: CheckSpec, record: Record, run: Run) -> tuple[list[Checkpoint], list[Trial]]:
    """The checkpoints that a check looks at, in order; and an error for each that it asks for in vain."""
    there = {checkpoint.edits: checkpoint for checkpoint in run.checkpoints if checkpoint.edits > 0}
    if check.at is None:
        chosen = [there[edits] for edits in sorted(there)]
        if chosen:
            return chosen, []
        return [], [Trial(run.seed, 0, "error", reason="no checkpoint after the first edit was measured")]
    there[0] = record.base
    missing = [edits for edits in check.at if edits not in there]
    last = max(there)
    known = ", ".join(str(edits) for edits in sorted(there))
    problems = [
        Trial(
            run.seed,
            edits,
            "error",
            reason=f"the run stopped at {last} edits, before {edits}"
            if run.status != "complete" and edits > last
            else f"'at: {edits}' is no checkpoint of this run ({known})",
        )
        for edits in missing
    ]
    return [there[edits] for edits in sorted(set(check.at) & set(there))], problems
