"""Nothing reads a message: whatever it says, reports differ only where they quote it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stability.errors import ProblemKind
from stability.judge import EditorJudgement, Judgement, Verdict, judge
from stability.judge.side_by_side.editors import Contender, compare_editors
from stability.record import Problem, Record, Run
from stability.report import (
    render_comparison,
    render_github,
    render_html,
    render_junit,
    render_markdown,
    render_terminal,
)
from stability.report.explain.explain import explain
from stability.suite import SuiteFile, parse_suite
from stability.trackers.steps.series import tracked_runs

PLAIN = "x"
TEMPTING = (
    "run failed after 3 edits: NaN and infinite, Out of memory, interrupted",
    "past the bound, but within noise",
    "base is past this bound, and max detectable",
    "no data, STABILITY DATA is missing; copy it there, and the suite says require data",
    "the baseline is stale; update it: stability baseline update RUN",
    "needs --level tasks, stability only: edits not verified, no target true",
    "not measured: the record has no task; does not fit; no matrix was edited",
)
SUITE = """schema: 1
name: norm-growth
editors: [memit, rome, ft]
run: {edits: {count: 120}, checkpoints: [20, 40, 60, 80, 100], seeds: [0]}
checks:
  norm: {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 2.0"}
  kept: {metric: retention, assert: ">= 0.1"}
  subspace: {metric: probe_accuracy, where: {pairs: affected}, aggregate: mean, assert: ">= 0.7"}
  quiet: {metric: kl_divergence, assert: "<= 0.5"}
  fluent: {metric: perplexity, assert: "<= 99"}
  strict: {metric: fluency, assert: ">= 0", require: true}
  earlier: {metric: retention, relative_to: previous, assert: ">= 0.9"}
  later: {metric: retention, assert: ">= 0", at: 50}
  task_drop:
    metric: task_score
    for_each: {task: [choice, pair, wnli]}
    relative_to: base
    change: absolute
    assert: ">= -0.05"
    noise: {confidence: 0.95, on_inconclusive: fail}
"""
KINDS: tuple[ProblemKind, ...] = ("not_finite", "out_of_memory", "editor_raised", "unknown")


def ended(run: Run, kind: ProblemKind) -> Run:
    error = Problem(kind=kind, message="boom")
    return run.model_copy(update={"status": "failed", "failed_at": 120, "error": error})


@pytest.fixture(scope="module")
def record(records: ModuleType) -> Record:
    """Three editors, one of which failed; with problems wherever a record may hold one."""
    base, memit = records.whole_run("memit")
    runs = [memit]
    for name in ("rome", "ft"):
        _, run = records.whole_run(name, growth=0.003)
        points = []
        for point in run.checkpoints:
            problems = {"kl_divergence": Problem(kind="no_target_true", message="boom")}
            readings = {key: one for key, one in point.readings.items() if key != "kl_divergence"}
            points.append(point.model_copy(update={"readings": readings, "errors": problems}))
        runs.append(run.model_copy(update={"checkpoints": tuple(points)}))
    runs[2] = ended(runs[2], "not_finite")
    made: Record = records.record(
        base,
        runs,
        suite_text=SUITE,
        not_asked={"fluency": Problem(kind="needs_level", message="boom", level="tasks")},
        measured=parse_suite(SUITE).measured,
    )
    return made


def saying(record: Record, words: str) -> Record:
    """The record with every message in it replaced."""

    def replaced(value: Any) -> Any:
        if isinstance(value, dict):
            if value.keys() >= {"kind", "message"}:
                return {**value, "message": words}
            return {key: replaced(part) for key, part in value.items()}
        return [replaced(part) for part in value] if isinstance(value, list | tuple) else value

    return Record.model_validate(replaced(record.model_dump()))


def judgement_saying(judgement: Judgement, words: str) -> Judgement:
    """The judgement with every message in it replaced, where there is one."""

    def verdict(one: Verdict) -> Verdict:
        problem = one.problem and one.problem.model_copy(update={"message": words})
        seeds = tuple(replace(seed, message=seed.message and words) for seed in one.seeds)
        return replace(one, message=one.message and words, problem=problem, seeds=seeds)

    def editor(one: EditorJudgement) -> EditorJudgement:
        runs = tuple(replace(run, error=run.error and words) for run in one.runs)
        return replace(one, verdicts=tuple(map(verdict, one.verdicts)), runs=runs)

    return replace(judgement, editors=tuple(map(editor, judgement.editors)))


def suite_file() -> SuiteFile:
    return parse_suite(SUITE, Path("suites/norm-growth.stability.yaml"))


def texts(words: str) -> dict[str, Callable[[Record, Judgement], str]]:
    """Every form of report that has text, in one line where it would break lines."""
    return {
        "junit": render_junit,
        "html": render_html,
        "markdown": render_markdown,
        "terminal": lambda record, judgement: " ".join(render_terminal(record, judgement).split()),
        "github": lambda record, judgement: render_github(record, judgement, suite=suite_file()),
    }


def everything(record: Record, words: str) -> tuple[Record, Judgement]:
    told = saying(record, words)
    return told, judgement_saying(judge(suite_file().spec, told), words)


@pytest.mark.parametrize("words", TEMPTING)
def test_the_judge_comes_to_the_same_whatever_a_record_says_in_words(record: Record, words: str) -> None:
    plain, tempting = (
        judge(suite_file().spec, saying(record, PLAIN)),
        judge(suite_file().spec, saying(record, words)),
    )
    assert judgement_saying(plain, "") == judgement_saying(
        replace(tempting, editors=tuple(_covered(tempting, words))), ""
    )
    assert {verdict.status for verdict in plain.verdicts} >= {"fail", "error", "pass"}
    kinds = {verdict.problem.kind for verdict in plain.verdicts if verdict.problem}
    assert kinds >= {"no_target_true", "not_in_record", "needs_level", "baseline_missing", "at_chance"}
    assert kinds >= {"no_such_checkpoint", "run_failed", "within_noise"}


def _covered(judgement: Judgement, words: str) -> list[EditorJudgement]:
    """The editors, with the plain message in place of the words that `coverage` quotes."""
    return [
        replace(
            editor,
            verdicts=tuple(
                replace(one, coverage=one.coverage.replace(words, PLAIN)) for one in editor.verdicts
            ),
        )
        for editor in judgement.editors
    ]


@pytest.mark.parametrize("words", TEMPTING)
def test_explanations_are_the_same_whatever_messages_say(record: Record, words: str) -> None:
    plain, tempting = everything(record, PLAIN), everything(record, words)
    explained = [
        [explain(told, judgement, verdict) for verdict in judgement.verdicts]
        for told, judgement in (plain, tempting)
    ]
    assert explained[0] == explained[1]
    assert sum(one is not None for one in explained[0]) > 10


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", TEMPTING[:2])
def test_a_run_that_failed_is_explained_by_the_kind_of_its_error(
    record: Record, kind: ProblemKind, words: str
) -> None:
    failed = record.model_copy(update={"runs": (*record.runs[:2], ended(record.runs[2], kind))})
    found = []
    for say in (PLAIN, words):
        told, judgement = everything(failed, say)
        [verdict] = [one for one in judgement.editors[2].verdicts if one.check == "kept"]
        explanation = explain(told, judgement, verdict)
        assert explanation is not None
        found.append(explanation)
    assert found[0] == found[1]
    assert ("NaN" in found[0].meaning) == (kind == "not_finite")
    assert ("lack of memory" in found[0].meaning) == (kind == "out_of_memory")


@pytest.mark.parametrize("words", TEMPTING)
@pytest.mark.parametrize("form", sorted(texts("")))
def test_reports_differ_only_where_they_quote_a_message(record: Record, form: str, words: str) -> None:
    plain, tempting = everything(record, PLAIN), everything(record, words)
    render = texts(words)[form]
    assert render(*tempting).replace(words, PLAIN) == render(*plain)


@pytest.mark.parametrize("words", TEMPTING[:2])
def test_comparisons_and_trackers_are_told_the_same(record: Record, words: str) -> None:
    tables, series = [], []
    for say in (PLAIN, words):
        told, judgement = everything(record, say)
        contenders = [Contender(name, told, name) for name in ("memit", "rome")]
        tables.append(render_comparison(compare_editors(suite_file().spec, contenders)))
        series.append([replace(run, error="") for run in tracked_runs(told, judgement)])
    assert tables[0] == tables[1]
    assert series[0] == series[1]
