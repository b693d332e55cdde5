"""From a suite and a record to its judgement: a pure function, without a model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from stability.judge.check import judge_check
from stability.judge.trial import Case
from stability.judge.verdict import EditorJudgement, Judgement, RunSummary, Verdict
from stability.record import Record, Run
from stability.suite import SuiteSpec


def judge(suite: SuiteSpec, record: Record, baseline: Record | None = None) -> Judgement:
    """Judge every editor of a record by every check of a suite.

    `baseline` is an earlier record, for the checks that are `relative_to: previous`.
    """
    editors = tuple(
        _judge_editor(label, suite, [Case(record, run, baseline) for run in runs])
        for label, runs in runs_by_editor(record).items()
    )
    notes = () if editors else ("the record holds no run",)
    return Judgement(suite=suite.name, model=record.model.name, editors=editors, notes=notes)


def runs_by_editor(record: Record) -> dict[str, list[Run]]:
    """The runs of each editor, by its name; the same editor with other settings is another, with a number."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in record.runs:
        settings = json.dumps(run.editor.settings, sort_keys=True, default=str)
        groups.setdefault((run.editor.name, settings), []).append(run)
    labels: dict[str, list[Run]] = {}
    for (name, _), runs in groups.items():
        label, number = name, 1
        while label in labels:
            number += 1
            label = f"{name} ({number})"
        labels[label] = sorted(runs, key=lambda run: run.seed)
    return labels


def _judge_editor(label: str, suite: SuiteSpec, cases: Sequence[Case]) -> EditorJudgement:
    verdicts = [
        replace(verdict, editor=label)
        for name, check in suite.checks_of(label).items()
        for verdict in judge_check(name, check, suite, cases)
    ]
    summaries = tuple(summary(case) for case in cases)
    return EditorJudgement(
        editor=label,
        verdicts=tuple(_unless_truncated(verdicts, summaries)),
        runs=summaries,
        notes=tuple(shortfalls(suite, summaries)),
    )


def _unless_truncated(verdicts: Sequence[Verdict], runs: Sequence[RunSummary]) -> list[Verdict]:
    """A run that was stopped at its first failure has to have one; else nobody knows what came after.

    It has none when a record is judged by another suite than the one that stopped it.
    """
    short = [run for run in runs if run.status == "truncated"]
    if not short or any(verdict.status == "fail" for verdict in verdicts):
        return list(verdicts)
    reason = f"the run was stopped at {short[0].edits} edits, and what came after was not measured"
    return [
        replace(verdict, status="error", message=reason)
        if verdict.status in ("pass", "warn", "inconclusive")
        else verdict
        for verdict in verdicts
    ]


def summary(case: Case) -> RunSummary:
    """What was done in a run."""
    run = case.run
    edits = len(run.edits) or max((checkpoint.edits for checkpoint in run.checkpoints), default=0)
    keys = [matrix.d_in for matrix in case.scene.edited_matrices]
    return RunSummary(
        seed=run.seed,
        status=run.status,
        edits=edits,
        seconds=sum(run.timing.values()),
        edits_per_key_dimension=edits / min(keys) if keys else None,
        error=run.error or "",
    )


def shortfalls(suite: SuiteSpec, runs: Sequence[RunSummary]) -> list[str]:
    """Where the record holds less than the suite asks for; a command line may have asked for less."""
    notes = []
    missing = sorted(set(suite.run.seeds) - {run.seed for run in runs})
    if missing:
        seeds = ", ".join(str(seed) for seed in missing)
        notes.append(f"the suite asks for seed {seeds} too, which this record does not have")
    fewest = min(run.edits for run in runs)
    if fewest < suite.run.edits.count and all(run.status == "complete" for run in runs):
        notes.append(f"the suite asks for {suite.run.edits.count} edits, this record has {fewest}")
    return notes
