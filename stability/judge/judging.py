"""From a suite and a record to its judgement: a pure function, without a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from stability.judge.check import judge_check
from stability.judge.compare.baseline import Baseline
from stability.judge.gated import gate_notes, without_bracket
from stability.judge.trial import Case
from stability.judge.verdict import EditorJudgement, Judgement, RunSummary, Verdict
from stability.record import Record, runs_by_editor
from stability.suite import SuiteSpec


def judge(suite: SuiteSpec, record: Record, baselines: Mapping[str, Baseline] | None = None) -> Judgement:
    """Judge every editor of a record by every check of a suite.

    `baselines` holds the earlier record of each editor, for the checks that are `relative_to: previous`.
    """
    earlier = baselines or {}
    editors = tuple(
        _judge_editor(label, suite, [Case(record, run, earlier.get(label)) for run in runs])
        for label, runs in runs_by_editor(record).items()
    )
    notes = () if editors else ("the record holds no run",)
    return Judgement(suite=suite.name, model=record.model.name, editors=editors, notes=notes)


def _judge_editor(label: str, suite: SuiteSpec, cases: Sequence[Case]) -> EditorJudgement:
    verdicts = [
        replace(verdict, editor=label)
        for name, check in suite.checks_of(label).items()
        for verdict in judge_check(name, check, suite, cases)
    ]
    summaries = tuple(summary(case) for case in cases)
    return EditorJudgement(
        editor=label,
        verdicts=tuple(
            verdict if summaries[0].edits_known else without_bracket(verdict)
            for verdict in _unless_truncated(verdicts, summaries)
        ),
        runs=summaries,
        notes=(*_notes(suite, cases, summaries), *compared_with(label, suite, cases)),
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
    known = bool(run.edits) or not run.is_gated
    return RunSummary(
        seed=run.seed,
        status=run.status,
        edits=edits,
        seconds=sum(run.timing.values()),
        edits_per_key_dimension=edits / min(keys) if keys and known else None,
        error=run.error or "",
        edits_known=known,
    )


def _notes(suite: SuiteSpec, cases: Sequence[Case], runs: Sequence[RunSummary]) -> list[str]:
    return gate_notes(cases[0]) if cases[0].run.is_gated else shortfalls(suite, runs)


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


def compared_with(label: str, suite: SuiteSpec, cases: Sequence[Case]) -> list[str]:
    """Which earlier version a check compared with; above all where it was no earlier one."""
    asked = any(check.relative_to == "previous" for check in suite.checks_of(label).values())
    earlier = cases[0].baseline.record if cases[0].baseline else None
    if not asked or earlier is None or not earlier.runs:
        return []
    before, now = earlier.runs[0].editor, cases[0].run.editor
    of = f"baseline of {earlier.started[:10]}" if earlier.started else "baseline"
    if before.fingerprint and before.fingerprint == now.fingerprint:
        return [f"the {of} is of this same version: code and settings are equal"]
    settings = sorted(
        key
        for key in before.settings.keys() | now.settings.keys()
        if before.settings.get(key) != now.settings.get(key)
    )
    changed = f"; other settings: {', '.join(settings)}" if settings else ""
    return [
        f"compared with the {of}, version {before.version or before.fingerprint[:12] or 'unknown'}{changed}"
    ]
