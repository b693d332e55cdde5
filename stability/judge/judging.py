"""From a suite and a record to its judgement: a pure function, without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from stability.judge.compare import compare
from stability.judge.inputs import Assertion, Baseline, RecordedRun
from stability.judge.noise.chance import tasks_at_chance
from stability.judge.noise.family import decide_drops, tell_chance
from stability.judge.reduce import reduce
from stability.judge.runs import notes_of, stopped_early, summary_of, without_bracket
from stability.judge.select import checkpoints_of, edited_model, select
from stability.judge.summarise import summarise
from stability.judge.verdict import EditorJudgement, Judgement, Verdict
from stability.judge.words import unfinished
from stability.record import Problem, Record, Run, runs_by_editor
from stability.suite import CheckSpec, SuiteSpec
from stability.suite.judgeable import is_untested


def judge(
    suite: SuiteSpec, record: Record, baselines: Mapping[str, Baseline] | None = None, *, looks: int = 1
) -> Judgement:
    """Judge every editor of a record by every check of a suite.

    `baselines` holds the earlier record of each editor, for the checks that are `relative_to: previous`. If
    the record is one of several that a search may look at, `looks` is how many: its tests for noise are then
    at a level that lets the family be all of theirs.
    """
    earlier = baselines or {}
    editors = []
    for label, runs in runs_by_editor(record).items():
        recorded = [
            RecordedRun(record, run, edited_model(record.model, run.edited), earlier.get(label))
            for run in runs
        ]
        editors.append(judge_editor(label, suite, recorded, looks))
    notes = [] if editors else ["the record holds no run"]
    notes += [unfinished(record)] if record.is_unfinished else []
    return Judgement(
        suite=suite.name,
        model=record.model.name,
        editors=tuple(editors),
        notes=tuple(notes),
        is_unfinished=record.is_unfinished,
    )


def recorded_run(record: Record, run: Run, baseline: Baseline | None = None) -> RecordedRun:
    """A run of a record with its model and baseline, ready to be judged."""
    return RecordedRun(record, run, edited_model(record.model, run.edited), baseline)


def judge_editor(
    label: str, suite: SuiteSpec, runs: Sequence[RecordedRun], looks: int = 1
) -> EditorJudgement:
    """Judge the runs of one editor by every check that applies to it."""
    verdicts = [
        replace(verdict, editor=label)
        for name, check in suite.checks_of(label).items()
        for verdict in judge_check(name, check, suite, runs, looks)
    ]
    summaries = tuple(summary_of(run) for run in runs)
    verdicts = stopped_early(verdicts, summaries)
    return EditorJudgement(
        editor=label,
        verdicts=tuple(verdicts if summaries[0].edits_known else map(without_bracket, verdicts)),
        runs=summaries,
        notes=notes_of(label, suite, runs, summaries),
    )


def judge_check(
    name: str, check: CheckSpec, suite: SuiteSpec, runs: Sequence[RecordedRun], looks: int = 1
) -> list[Verdict]:
    """The verdicts of one check on the runs of one editor: one, or one for each of its tasks.

    Select, compare, reduce, test for noise, summarise: each step takes the previous step's result.
    """
    scores = runs[0].record.base.readings.get(check.metric)
    at_chance = tasks_at_chance(check, scores) if scores and scores.over == "task" else {}
    assertions = assertions_of(name, check, suite, at_chance)
    selected = [
        select(assertion, run, edits)
        for assertion in assertions
        for run in runs
        for edits in checkpoints_of(check, run)
    ]
    compared = [compare(selection) for selection in selected]
    results = [reduce(values) for values in compared]
    if check.noise:
        results = decide_drops(results, check.bound, check.noise, looks)
    elif is_untested(check):
        results = tell_chance(results)
    unedited = [reduce(compare(select(assertion, run, 0))) for assertion in assertions for run in runs]
    return summarise(assertions, runs, results, unedited)


def assertions_of(
    name: str, check: CheckSpec, suite: SuiteSpec, at_chance: Mapping[str, Problem] | None = None
) -> list[Assertion]:
    """The assertions of a check, in the order of its tasks."""
    tasks = check.for_each.get("task") or (check.where.task,)
    return [
        Assertion(id_, name, check, suite, task, at_chance or {})
        for id_, task in zip(check.verdict_ids(name), tasks, strict=True)
    ]
