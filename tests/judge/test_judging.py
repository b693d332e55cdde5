"""From suite and record to verdicts: what passes, what fails, and what cannot be told."""

from __future__ import annotations

import json
import subprocess
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from stability.judge import Baseline, EditorJudgement, Judgement, Verdict, judge
from stability.judge.noise import exact
from stability.record import Checkpoint, Problem, Reading, Record, Replaced, Sample, TaskResult
from stability.suite import parse_suite

NORM = 'norm: {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 2.0"}'
KL = 'kl: {metric: kl_divergence, assert: "<= 0.5"}'
DROP = """
task_drop:
  metric: task_score
  for_each: {task: [choice, pair]}
  relative_to: base
  change: absolute
  assert: ">= -0.05"
  noise: {confidence: 0.95}
"""


def growing(records: ModuleType, *factors: float, **more: Any) -> Record:
    """A run with a checkpoint every 20 edits, at which the matrix of block 1 has grown so much."""
    points = [
        records.checkpoint(
            20 * (index + 1), [records.name(1)], weight_norm=records.norms({records.name(1): factor})
        )
        for index, factor in enumerate(factors)
    ]
    return records.record(records.checkpoint(0, weight_norm=records.norms()), [records.run(points, **more)])


def with_scalars(records: ModuleType, metric: str, values: dict[int, float | None], **more: Any) -> Record:
    """A run of a scalar metric; None leaves it out at that checkpoint."""
    points = [
        records.checkpoint(edits, **({} if value is None else {metric: records.scalar(value)}))
        for edits, value in values.items()
        if edits
    ]
    base = values.get(0)
    start = records.checkpoint(0, **({} if base is None else {metric: records.scalar(base)}))
    return records.record(start, [records.run(points, **more)])


def only(judgement: Judgement) -> Verdict:
    [verdict] = judgement.verdicts
    return verdict


class TestBrackets:
    """A check must hold at every checkpoint after 0; the bracket says from which edit on it did not."""

    def test_a_norm_that_stays_below_its_bound_passes_and_shows_the_value_nearest_to_it(
        self, records: ModuleType
    ) -> None:
        verdict = only(judge(records.suite(NORM), growing(records, 1.2, 1.9, 1.7)))
        assert (verdict.status, verdict.value, verdict.where) == ("pass", 1.9, "h.1.mlp.c_proj")
        assert (verdict.checkpoint, verdict.held_to, verdict.failed_at) == (40, 60, None)
        assert verdict.margin == pytest.approx(0.05)

    def test_the_first_checkpoint_that_fails_ends_the_bracket(self, records: ModuleType) -> None:
        verdict = only(judge(records.suite(NORM), growing(records, 1.5, 2.5, 3.5)))
        assert (verdict.status, verdict.held_to, verdict.failed_at) == ("fail", 20, 40)
        assert (verdict.value, verdict.checkpoint) == (3.5, 60)
        assert verdict.margin == pytest.approx(-0.75)

    def test_a_failure_at_the_first_checkpoint_was_held_by_the_unedited_model_only(
        self, records: ModuleType
    ) -> None:
        verdict = only(judge(records.suite(NORM), growing(records, 2.5)))
        assert (verdict.held_to, verdict.failed_at) == (0, 20)

    def test_a_check_that_holds_again_has_failed_all_the_same(self, records: ModuleType) -> None:
        verdict = only(judge(records.suite(NORM), growing(records, 1.5, 2.5, 1.6)))
        assert (verdict.status, verdict.held_to, verdict.failed_at) == ("fail", 20, 40)
        assert "held again at 60" in verdict.message

    def test_a_value_that_is_not_finite_fails(self, records: ModuleType) -> None:
        for value in (float("nan"), float("inf")):
            verdict = only(judge(records.suite(NORM), growing(records, 1.5, value)))
            assert (verdict.status, verdict.failed_at) == ("fail", 40)
            assert verdict.margin is None

    def test_a_value_at_the_bound_holds(self, records: ModuleType) -> None:
        assert only(judge(records.suite(NORM), growing(records, 2.0))).status == "pass"

    def test_at_looks_at_these_checkpoints_only(self, records: ModuleType) -> None:
        check = NORM.replace("}, rel", "}, at: [20, 60], rel")
        verdict = only(judge(records.suite(check), growing(records, 1.5, 2.5, 1.9)))
        assert (verdict.status, verdict.held_to, verdict.value) == ("pass", 60, 1.9)

    def test_at_names_no_checkpoint_of_the_run(self, records: ModuleType) -> None:
        check = NORM.replace("}, rel", "}, at: [20, 50], rel")
        verdict = only(judge(records.suite(check), growing(records, 1.5, 1.6, 1.9)))
        assert (verdict.status, verdict.message) == (
            "error",
            "'at: 50' is no checkpoint of this run (0, 20, 40, 60)",
        )

    def test_at_zero_judges_the_unedited_model(self, records: ModuleType) -> None:
        check = 'kl: {metric: perplexity, at: 0, assert: "<= 20"}'
        good = judge(records.suite(check), with_scalars(records, "perplexity", {0: 19.0, 20: 99.0}))
        bad = judge(records.suite(check), with_scalars(records, "perplexity", {0: 21.0, 20: 19.0}))
        assert (only(good).status, only(good).held_to) == ("pass", 0)
        assert (only(bad).status, only(bad).held_to, only(bad).failed_at) == ("fail", None, 0)

    def test_every_seed_must_hold_and_the_first_to_fail_gives_the_bracket(self, records: ModuleType) -> None:
        runs = [
            growing(records, *factors, seed=seed).runs[0]
            for seed, factors in enumerate([(1.1, 1.2, 9.0), (1.1, 2.1, 2.2), (1.1, 1.2, 1.3)])
        ]
        base = growing(records, 1.0).base
        verdict = only(judge(records.suite(NORM), records.record(base, runs)))
        assert (verdict.status, verdict.held_to, verdict.failed_at) == ("fail", 20, 40)
        assert (verdict.value, verdict.seed, verdict.checkpoint) == (9.0, 0, 60)
        assert [seed.status for seed in verdict.seeds] == ["fail", "fail", "pass"]
        assert [(seed.held_to, seed.failed_at) for seed in verdict.seeds] == [(40, 60), (20, 40), (60, None)]


class TestStatuses:
    """What a check that did not simply pass or fail is called."""

    def test_severity_warn_turns_a_failure_into_a_warning(self, records: ModuleType) -> None:
        suite = records.suite(NORM.replace("assert", "severity: warn, assert"))
        judgement = judge(suite, growing(records, 3.0))
        assert only(judgement).status == "warn"
        assert (judgement.exit_status(), judgement.exit_status(strict=True)) == (0, 1)

    def test_what_was_not_measured_is_an_error_with_the_reason(self, records: ModuleType) -> None:
        record = with_scalars(records, "kl_divergence", {20: None})
        assert only(judge(records.suite(KL), record)).message == (
            "not measured: the record has no kl_divergence at 20 edits"
        )
        for field in ("errors", "skipped"):
            why = {"kl_divergence": Problem(kind="not_finite", message="logits are NaN")}
            told = record.runs[0].checkpoints[0].model_copy(update={field: why})
            run = record.runs[0].model_copy(update={"checkpoints": (told,)})
            verdict = only(judge(records.suite(KL), records.record(record.base, [run])))
            assert (verdict.status, verdict.message) == ("error", "not measured at 20 edits: logits are NaN")
            assert verdict.problem is not None
            assert (verdict.problem.kind, verdict.problem.edits) == ("not_finite", 20)

    def test_an_error_at_one_checkpoint_outranks_what_held_elsewhere(self, records: ModuleType) -> None:
        record = with_scalars(records, "kl_divergence", {20: 0.1, 40: None})
        verdict = only(judge(records.suite(KL), record))
        assert (verdict.status, verdict.value, verdict.held_to) == ("error", 0.1, 20)

    def test_a_failure_that_was_measured_outranks_an_error_elsewhere(self, records: ModuleType) -> None:
        record = with_scalars(records, "kl_divergence", {20: 0.9, 40: None})
        verdict = only(judge(records.suite(KL), record))
        assert (verdict.status, verdict.failed_at) == ("fail", 20)
        assert "not measured" in verdict.message

    def test_an_editor_that_edits_nothing_has_no_edited_matrix_to_judge(self, records: ModuleType) -> None:
        point = records.checkpoint(20, weight_norm=records.norms())
        record = records.record(records.checkpoint(0, weight_norm=records.norms()), [records.run([point])])
        verdict = only(judge(records.suite(NORM), record))
        assert (verdict.status, verdict.message) == ("skip", "no matrix was edited")
        required = records.suite(NORM.replace("assert", "require: true, assert"))
        assert only(judge(required, record)).status == "error"

    def test_a_bound_that_the_unedited_model_breaks_is_an_error_whatever_came_after(
        self, records: ModuleType
    ) -> None:
        check = 'fluent: {metric: perplexity, assert: "<= 20"}'
        record = with_scalars(records, "perplexity", {0: 25.0, 20: 18.0, 40: 300.0})
        verdict = only(judge(records.suite(check), record))
        assert verdict.status == "error"
        assert verdict.message == "base is past this bound (25, bound <= 20)"

    def test_a_where_that_does_not_fit_is_an_error(self, records: ModuleType) -> None:
        check = 'kl: {metric: kl_divergence, where: {layers: late}, assert: "<= 0.5"}'
        verdict = only(judge(records.suite(check), with_scalars(records, "kl_divergence", {20: 0.1})))
        assert (verdict.status, "single value" in verdict.message) == ("error", True)

    def test_noise_is_for_tasks(self, records: ModuleType) -> None:
        check = 'kl: {metric: kl_divergence, relative_to: base, change: absolute, assert: ">= -1", noise: {}}'
        verdict = only(judge(records.suite(check), with_scalars(records, "kl_divergence", {0: 0.0, 20: 0.1})))
        assert (verdict.status, verdict.message) == (
            "error",
            "'noise' does not fit kl_divergence, which has no tasks",
        )

    def test_time_and_memory_are_judged_too(self, records: ModuleType) -> None:
        point = Checkpoint(edits=20, costs={"edit_seconds": records.scalar(3.0)})
        record = records.record(records.checkpoint(0), [records.run([point])])
        suite = records.suite('fast: {metric: edit_seconds, assert: "<= 2"}')
        assert only(judge(suite, record)).status == "fail"


class TestFailedAndStoppedRuns:
    """A run that ended early."""

    def test_what_was_measured_before_the_editor_raised_is_shown_but_is_no_pass(
        self, records: ModuleType
    ) -> None:
        record = growing(records, 1.5, status="failed", error="rome: edit 27: ValueError", failed_at=26)
        judgement = judge(records.suite(NORM), record)
        verdict = only(judgement)
        assert (verdict.status, verdict.value, verdict.held_to) == ("error", 1.5, 20)
        assert verdict.message == "run failed after 26 edits: rome: edit 27: ValueError"
        assert judgement.exit_status() == 3

    def test_a_failure_that_was_measured_before_stays_one(self, records: ModuleType) -> None:
        record = growing(records, 2.5, status="failed", error="boom", failed_at=26)
        judgement = judge(records.suite(NORM), record)
        assert only(judgement).status == "fail"
        assert judgement.exit_status() == 1

    def test_a_run_that_failed_before_its_first_checkpoint_has_no_value(self, records: ModuleType) -> None:
        record = records.record(
            records.checkpoint(0, weight_norm=records.norms()),
            [records.run([], status="failed", error="boom", failed_at=6)],
        )
        verdict = only(judge(records.suite(NORM), record))
        assert (verdict.status, verdict.value, verdict.message) == (
            "error",
            None,
            "run failed after 6 edits: boom",
        )

    def test_one_seed_that_failed_is_named(self, records: ModuleType) -> None:
        good, bad = (
            growing(records, 1.5).runs[0],
            growing(records, 1.5, seed=1, status="failed", error="x").runs[0],
        )
        verdict = only(judge(records.suite(NORM), records.record(growing(records).base, [good, bad])))
        assert verdict.message == "seed 1: run failed after 0 edits: x"

    def test_a_run_that_was_stopped_by_its_failure_is_judged_by_it(self, records: ModuleType) -> None:
        record = growing(records, 1.5, 2.5, status="truncated")
        assert judge(records.suite(NORM), record).exit_status() == 1

    def test_a_run_that_was_stopped_passes_no_laxer_suite(self, records: ModuleType) -> None:
        record = growing(records, 1.5, 2.5, status="truncated")
        verdict = only(judge(records.suite(NORM.replace("2.0", "5.0")), record))
        assert verdict.status == "error"
        assert verdict.message == "the run was stopped at 40 edits, and what came after was not measured"

    def test_a_suite_that_asks_for_more_than_was_run_is_told_so(self, records: ModuleType) -> None:
        suite = records.suite(NORM, run="{seeds: [0, 1], edits: {count: 100}}")
        [editor] = judge(suite, growing(records, 1.5)).editors
        assert editor.notes == (
            "the suite asks for seed 1 too, which this record does not have",
            "the suite asks for 100 edits, this record has 20",
        )

    def test_a_suite_of_another_model_other_edits_or_more_editors_is_told_so(
        self, records: ModuleType
    ) -> None:
        asks = records.suite(
            NORM, editors="[rome, ft]", model="gpt2", run="{edits: {source: zsre, count: 20}}"
        )
        record = growing(records, 1.5)
        named = {"model": {"name": "world"}, "run": {"edits": {"source": "world"}}}
        [editor] = judge(asks, record.model_copy(update={"measured": named})).editors
        assert editor.notes == (
            "the suite asks for ft too, which this record does not have",
            "the suite asks for gpt2, this record was run with world",
            "the suite asks for zsre, this record was run with world",
        )

    @pytest.mark.parametrize("measured", [{"model": "world", "run": ["edits"]}, {"run": {"edits": 3}}])
    def test_a_record_that_says_something_else_of_what_was_measured_is_judged(
        self, records: ModuleType, measured: dict[str, Any]
    ) -> None:
        record = growing(records, 1.5).model_copy(update={"measured": measured})
        [editor] = judge(records.suite(NORM, run="{edits: {count: 20}}"), record).editors
        assert editor.notes == ()

    def test_editors_that_were_chosen_or_given_in_place_of_the_suites_are_no_shortfall(
        self, records: ModuleType
    ) -> None:
        record = growing(records, 1.5)
        chosen = record.model_copy(update={"replaced": Replaced(editors=("rome",))})
        for suite, of in (("[rome, ft]", chosen), ("[memit, ft]", record)):
            asks = records.suite(NORM, editors=suite, run="{edits: {source: world, count: 20}}")
            [editor] = judge(asks, of).editors
            assert editor.notes == ()


class TestReferences:
    """`relative_to` and what it compares with."""

    def test_an_edited_matrix_against_the_unedited_layers(self, records: ModuleType) -> None:
        suite = records.suite(NORM.replace("base", "unedited"))
        verdict = only(judge(suite, growing(records, 1.5, 2.4)))
        assert (verdict.status, verdict.failed_at) == ("fail", 40)
        assert verdict.value == pytest.approx(2.4)

    def test_a_matrix_that_was_out_of_line_before_any_edit_is_not_the_editors_fault(
        self, records: ModuleType
    ) -> None:
        size = {records.name(1): 3.0}
        points = [
            records.checkpoint(20, [records.name(1)], weight_norm=records.norms({records.name(1): 3.1}))
        ]
        record = records.record(records.checkpoint(0, weight_norm=records.norms(size)), [records.run(points)])
        suite = records.suite(NORM.replace("base", "unedited"))
        assert only(judge(suite, record)).message == (
            "base is past this bound (3 at h.1.mlp.c_proj, bound <= 2.0)"
        )

    def test_a_record_may_not_get_worse_than_an_earlier_one(self, records: ModuleType) -> None:
        suite = records.suite(NORM.replace("base", "previous").replace("2.0", "1.1"))
        before = growing(records, 1.5, 2.0)
        baselines = {"rome": Baseline(before)}
        assert only(judge(suite, growing(records, 1.5, 2.1), baselines)).status == "pass"
        worse = only(judge(suite, growing(records, 1.5, 2.3), baselines))
        assert (worse.status, worse.failed_at) == ("fail", 40)
        assert only(judge(suite, before)).message.startswith("no baseline")

    def test_frozen_weights_count_what_was_not_allowed(self, records: ModuleType) -> None:
        def record(changed: dict[str, int]) -> Record:
            names = [records.name(1), records.name(2), "transformer.wte.weight"]
            counts = dict.fromkeys(names, 0)
            point = records.checkpoint(
                20, changed, frozen_weights=Reading(over="parameter", values={**counts, **changed})
            )
            base = records.checkpoint(0, frozen_weights=Reading(over="parameter", values=counts))
            return records.record(base, [records.run([point])])

        suite = records.suite(
            'frozen: {metric: frozen_weights, assert: "== 0"}',
            may_change="{layers: [1], matrices: [mlp_out]}",
        )
        assert only(judge(suite, record({records.name(1): 500}))).status == "pass"
        verdict = only(judge(suite, record({records.name(1): 500, records.name(2): 7})))
        assert (verdict.status, verdict.value, verdict.where) == ("fail", 7, "h.2.mlp.c_proj")
        assert only(judge(suite, record({}))).status == "pass"

    def test_pairs_that_were_left_out_are_counted(self, records: ModuleType) -> None:
        reading = records.by_pair(0.9, left_out={"6-7": "base 0.93"})
        points = [records.checkpoint(20, [records.name(6)], probe_accuracy=reading)]
        record = records.record(
            records.checkpoint(0, probe_accuracy=records.by_pair()), [records.run(points)]
        )
        suite = records.suite(
            'shift: {metric: probe_accuracy, where: {pairs: affected}, aggregate: mean, assert: ">= 0.7"}'
        )
        assert only(judge(suite, record)).coverage == "mean of 12 pairs; 1 left out (base 0.93)"

    def test_a_figure_of_a_sample_says_so(self, records: ModuleType) -> None:
        def verdict(sample: Sample | None) -> Verdict:
            reading = records.scalar(0.1).model_copy(update={"sample": sample})
            points = [records.checkpoint(20, kl_divergence=reading)]
            base = records.checkpoint(0, kl_divergence=records.scalar(0.0))
            return only(judge(records.suite(KL), records.record(base, [records.run(points)])))

        said = "on 1,365 of 1,998 positions"
        assert verdict(Sample(measured=1_365, of=1_998, what="positions")).coverage == said
        assert verdict(None).coverage == ""

    def test_a_score_of_documents_that_were_cut_says_so(self, records: ModuleType) -> None:
        before, now = records.graded(80, 100, losses=2)
        cut = now.model_copy(update={"truncated": 7})
        points = [records.checkpoint(20, task_score=records.tasks({"t": cut}))]
        base = records.checkpoint(0, task_score=records.tasks({"t": before}))
        suite = records.suite('score: {metric: task_score, where: {task: t}, assert: ">= 0.5"}')
        verdict = only(judge(suite, records.record(base, [records.run(points)])))
        assert verdict.coverage == "7 of 100 documents cut to the model's context"


class TestNoise:
    """Task scores, with noise."""

    def record(self, records: ModuleType, *losses: int, n: int = 1000, **more: Any) -> Record:
        """`choice` loses so many of its documents at each checkpoint; `pair` stays as it is."""
        before = records.graded(round(0.9 * n), n)[0]
        points = [
            records.checkpoint(
                20 * (index + 1),
                task_score=records.tasks(
                    {"choice": records.graded(round(0.9 * n), n, losses=lost)[1], "pair": before}
                ),
            )
            for index, lost in enumerate(losses)
        ]
        base = records.checkpoint(0, task_score=records.tasks({"choice": before, "pair": before}))
        return records.record(base, [records.run(points, **more)])

    def test_each_task_has_a_verdict_of_its_own(self, records: ModuleType) -> None:
        judgement = judge(records.suite(DROP), self.record(records, 10, 120))
        choice, pair = judgement.verdicts
        assert (choice.check, choice.status, choice.failed_at) == ("task_drop[choice]", "fail", 40)
        assert (pair.check, pair.status) == ("task_drop[pair]", "pass")
        assert choice.value == pytest.approx(-0.12)
        assert choice.interval is not None
        assert choice.interval[1] < -0.05
        assert choice.flip_rate == pytest.approx(0.12)
        assert choice.where == ""

    def test_a_drop_within_noise_is_inconclusive_unless_the_suite_fails_it(self, records: ModuleType) -> None:
        record = self.record(records, 10, 60)
        judgement = judge(records.suite(DROP), record)
        verdict = judgement.verdicts[0]
        assert (verdict.status, verdict.checkpoint, verdict.failed_at) == ("inconclusive", 40, None)
        assert verdict.interval is not None
        assert verdict.interval[0] < -0.05 < verdict.interval[1]
        assert (judgement.exit_status(), judgement.exit_status(strict=True)) == (0, 1)
        strict = judge(records.suite(DROP.replace("0.95}", "0.95, on_inconclusive: fail}")), record)
        assert (strict.verdicts[0].status, strict.verdicts[0].failed_at) == ("fail", 40)
        assert "within noise" in strict.verdicts[0].message

    def test_on_inconclusive_fail_fails_what_chance_hardly_ever_looks_like(self, records: ModuleType) -> None:
        suite = records.suite(DROP.replace("0.95}", "0.95, on_inconclusive: fail}"))
        verdict = judge(suite, self.record(records, 10, 60)).verdicts[0]
        assert (verdict.status, verdict.within_noise) == ("fail", True)
        assert verdict.noise.by_chance is not None
        assert verdict.noise.by_chance < 1e-9
        assert "less than 0.1 % of models that dropped nothing look like this" in verdict.message
        assert verdict.noise.false_failures == pytest.approx(0.0, abs=1e-4)

    def test_on_inconclusive_fail_is_refused_where_it_would_fail_models_that_dropped_nothing(
        self, records: ModuleType
    ) -> None:
        suite = records.suite(DROP.replace("0.95}", "0.95, on_inconclusive: fail}"))
        flips = self.record(records, 0, n=71)
        before = flips.base.readings["task_score"].tasks["choice"]
        wrong = np.flatnonzero(np.array(before.predicted) != np.array(before.gold))
        answers = np.array(before.predicted)
        answers[wrong[:3]] = np.array(before.gold)[wrong[:3]]
        right = np.flatnonzero(np.array(before.predicted) == np.array(before.gold))[:8]
        answers[right] = (np.array(before.gold)[right] + 1) % 4
        now = before.model_copy(update={"predicted": tuple(answers.tolist())})
        point = records.checkpoint(20, task_score=records.tasks({"choice": now, "pair": before}))
        verdict = judge(suite, records.record(flips.base, [records.run([point])])).verdicts[0]
        assert verdict.value == pytest.approx(-5 / 71)
        assert verdict.status == "error"
        assert verdict.problem is not None
        assert verdict.problem.kind == "too_few_documents"
        assert (
            "measure more documents, allow a larger drop, or write 'on_inconclusive: warn'" in verdict.message
        )
        assert 0 < (verdict.noise.false_failures or 0) <= 0.05

    @pytest.mark.parametrize(
        ("change", "bound", "value"), [("ratio", 0.95, 1 - 0.12 / 0.9), ("relative", -0.05, -0.12 / 0.9)]
    )
    def test_noise_is_told_of_ratios_and_relative_changes_too(
        self, records: ModuleType, change: str, bound: float, value: float
    ) -> None:
        check = DROP.replace("change: absolute", f"change: {change}").replace(">= -0.05", f">= {bound}")
        found = [
            judge(records.suite(check), self.record(records, lost)).verdicts[0] for lost in (30, 55, 120)
        ]
        assert [verdict.status for verdict in found] == ["pass", "inconclusive", "fail"]
        assert found[2].value == pytest.approx(value)
        assert found[2].interval is not None
        assert found[2].interval[0] < value < found[2].interval[1] < bound
        absolute = judge(
            records.suite(DROP.replace(">= -0.05", ">= -0.045")), self.record(records, 120)
        ).verdicts[0]
        assert found[2].p_value == pytest.approx(absolute.p_value, rel=1e-6)
        assert found[2].detects == pytest.approx((absolute.detects or 0) / 0.9)

    def test_a_drop_that_is_not_tested_for_noise_says_what_chance_has_to_do_with_it(
        self, records: ModuleType
    ) -> None:
        check = DROP.replace("  noise: {confidence: 0.95}\n", "")
        verdict = judge(records.suite(check), self.record(records, 4, n=50)).verdicts[0]
        assert (verdict.status, verdict.interval) == ("fail", None)
        assert verdict.message.startswith("not tested for noise: 50 documents, 95 % limits [-0.1")
        assert verdict.message.endswith("of models that dropped nothing look like this")
        one = exact.drop_p_value(0, 4, 50, 0.0)
        assert verdict.noise.by_chance == pytest.approx(2 * one)  # there are two tasks
        assert judge(records.suite(check), self.record(records, 0, n=50)).verdicts[0].message == ""

    def test_every_task_checkpoint_and_seed_is_counted_in_one_family(self, records: ModuleType) -> None:
        few, many = self.record(records, 66), self.record(records, *[66] + [10] * 30)
        assert judge(records.suite(DROP), few).verdicts[0].status == "fail"
        assert judge(records.suite(DROP), many).verdicts[0].status == "inconclusive"
        seeds = [self.record(records, 66, seed=seed).runs[0] for seed in range(30)]
        together = judge(records.suite(DROP), records.record(few.base, seeds))
        alone = judge(records.suite(DROP), few)
        assert together.verdicts[0].status == "inconclusive"
        assert together.verdicts[0].detects is not None
        assert alone.verdicts[0].detects is not None
        assert together.verdicts[0].detects > alone.verdicts[0].detects

    def test_a_gate_cannot_be_passed_by_measuring_little(self, records: ModuleType) -> None:
        suite = records.suite(DROP.replace("0.95}", "0.95, max_detectable: 0.15}"))
        few = judge(suite, self.record(records, 0, n=40))
        assert few.counts["error"] == 2
        assert few.verdicts[0].message.startswith("40 documents show no drop below 0.2")
        assert judge(suite, self.record(records, 0, n=400)).passed

    def test_a_drop_that_is_found_counts_even_where_little_was_measured(self, records: ModuleType) -> None:
        suite = records.suite(DROP.replace("0.95}", "0.95, max_detectable: 0.15}"))
        assert judge(suite, self.record(records, 30, n=40)).verdicts[0].status == "fail"

    @pytest.mark.parametrize("noise", ["", ", noise: {confidence: 0.95}"])
    @pytest.mark.parametrize(("n", "right"), [(20, 17), (100, 68), (140, 112), (200, 161), (1000, 733)])
    def test_a_drop_of_exactly_the_tolerance_holds(
        self, records: ModuleType, noise: str, n: int, right: int
    ) -> None:
        for now, status in ((n // 20, "pass"), (n // 20 + 1, "not passed")):
            before, after = records.graded(right, n, losses=now)
            record = records.record(
                records.checkpoint(0, task_score=records.tasks({"choice": before})),
                [records.run([records.checkpoint(20, task_score=records.tasks({"choice": after}))])],
            )
            check = f"""
task_drop: {{metric: task_score, for_each: {{task: [choice]}}, relative_to: base, change: absolute,
  assert: ">= -0.05"{noise}}}
"""
            found = only(judge(records.suite(check), record))
            assert (found.status == "pass") == (status == "pass")

    def test_a_task_at_chance_is_skipped_and_if_all_are_it_is_an_error(self, records: ModuleType) -> None:
        good, guessed = records.graded(900, 1000)[0], records.graded(26, 100)[0]

        def record(choice: TaskResult) -> Record:
            reading = records.tasks({"choice": choice, "pair": guessed})
            return records.record(
                records.checkpoint(0, task_score=reading),
                [records.run([records.checkpoint(20, task_score=reading)])],
            )

        mixed = judge(records.suite(DROP), record(good))
        assert [verdict.status for verdict in mixed.verdicts] == ["pass", "skip"]
        assert mixed.verdicts[1].message.startswith("base at chance (0.26 of 100 documents")
        alike = judge(records.suite(DROP), record(guessed))
        assert [verdict.status for verdict in alike.verdicts] == ["error", "error"]
        assert alike.verdicts[0].message.startswith("every task of this check was skipped: base at chance")
        every = records.suite(DROP.replace("  for_each: {task: [choice, pair]}\n", ""))
        assert only(judge(every, record(good))).coverage.startswith("worst of 1 tasks; 1 left out (base at")
        assert only(judge(every, record(good))).coverage.endswith(": pair)")
        assert only(judge(every, record(guessed))).status == "error"

    @pytest.mark.parametrize(
        ("check", "tasks", "says"),
        [
            ("require: true", "", "the check says 'require: true'"),
            ("require: false", "{require_data: true}", "the suite says 'require_data'"),
        ],
    )
    def test_where_tasks_are_required_none_is_left_out_of_a_check_of_all(
        self, records: ModuleType, check: str, tasks: str, says: str
    ) -> None:
        reading = records.tasks({"choice": records.graded(900, 1000)[0], "pair": records.graded(26, 100)[0]})
        record = records.record(
            records.checkpoint(0, task_score=reading),
            [records.run([records.checkpoint(20, task_score=reading)])],
        )
        every = DROP.replace("for_each: {task: [choice, pair]}", check)
        verdict = only(judge(records.suite(every, **({"tasks": tasks} if tasks else {})), record))
        assert verdict.status == "error"
        assert verdict.message.startswith("pair: base at chance")
        assert verdict.message.endswith(says)

    @pytest.mark.parametrize("require", ["", ", require: true"])
    def test_a_group_of_many_small_tasks_that_lost_a_third_is_not_skipped(
        self, records: ModuleType, require: str
    ) -> None:
        rng = np.random.default_rng(0)
        golds = {f"subject_{i}": rng.integers(0, 4, 20) for i in range(57)}
        stated = float(np.mean([np.bincount(gold).max() / 20 for gold in golds.values()]))
        luck = rng.permutation(57 * 20).reshape(57, 20) / 1140
        readings = []
        for known in (0.368, 0.254):
            members = {
                name: records.answers(gold, np.where(luck[i] < known, gold, (gold + 1) % 4))
                for i, (name, gold) in enumerate(golds.items())
            }
            group = TaskResult(metric="acc", n=1140, members=tuple(members), chance=stated)
            of_members = {name: records.accuracy(one) for name, one in members.items()}
            scores = {**of_members, "choice": float(np.mean(list(of_members.values())))}
            every = {"choice": group, **members, "pair": records.graded(26, 100)[0]}
            readings.append(records.tasks(every, scores))
        assert readings[0].values["choice"] < stated
        record = records.record(
            records.checkpoint(0, task_score=readings[0]),
            [records.run([records.checkpoint(20, task_score=readings[1])])],
        )
        check = DROP.replace("noise: {", "require: true\n  noise: {") if require else DROP
        found = judge(records.suite(check), record)
        assert found.verdicts[0].status == "fail"
        assert found.verdicts[1].status == ("error" if require else "skip")

    def test_data_that_was_absent_is_a_skip_and_an_error_if_required(self, records: ModuleType) -> None:
        record = self.record(records, 10)
        absent = {"pair": Problem(kind="no_data", message="no data for pair: set STABILITY_DATA")}

        def without(checkpoint: Checkpoint) -> Checkpoint:
            reading = checkpoint.readings["task_score"]
            left = reading.model_copy(
                update={"values": {"choice": reading.values["choice"]}, "left_out": absent}
            )
            return checkpoint.model_copy(update={"readings": {"task_score": left}})

        run = record.runs[0].model_copy(
            update={"checkpoints": tuple(map(without, record.runs[0].checkpoints))}
        )
        lacking = records.record(without(record.base), [run])
        verdict = judge(records.suite(DROP), lacking).verdicts[1]
        assert (verdict.status, verdict.message) == ("skip", absent["pair"].message)
        strict = judge(records.suite(DROP, tasks="{require_data: true}"), lacking).verdicts[1]
        assert strict.status == "error"

    def test_documents_that_differ_are_an_error(self, records: ModuleType) -> None:
        record = self.record(records, 10)
        fewer = records.graded(450, 500)[0]
        point = records.checkpoint(20, task_score=records.tasks({"choice": fewer, "pair": fewer}))
        verdict = judge(records.suite(DROP), records.record(record.base, [records.run([point])])).verdicts[0]
        assert verdict.status == "error"
        assert "500 documents were answered at one time only" in verdict.message

    def test_a_check_of_all_tasks_names_the_one_that_fails(self, records: ModuleType) -> None:
        suite = records.suite(DROP.replace("  for_each: {task: [choice, pair]}\n", ""))
        verdict = only(judge(suite, self.record(records, 120)))
        assert (verdict.check, verdict.status, verdict.where) == ("task_drop", "fail", "choice")

    def test_what_failed_is_shown_not_what_lies_farther_out_but_within_noise(
        self, records: ModuleType
    ) -> None:
        many, few = records.graded(900, 1000)[0], records.graded(30, 36)[0]
        points = [
            records.checkpoint(
                20, task_score=records.tasks({"many": many, "few": records.graded(30, 36, losses=5)[1]})
            ),
            records.checkpoint(
                40, task_score=records.tasks({"many": records.graded(900, 1000, losses=120)[1], "few": few})
            ),
        ]
        base = records.checkpoint(0, task_score=records.tasks({"many": many, "few": few}))
        suite = records.suite(DROP.replace("  for_each: {task: [choice, pair]}\n", ""))
        verdict = only(judge(suite, records.record(base, [records.run(points)])))
        assert [point.outcome for point in verdict.seeds[0].points] == ["inconclusive", "failed"]
        assert (verdict.where, verdict.checkpoint) == ("many", 40)

    def test_a_task_that_the_record_does_not_have_is_an_error(self, records: ModuleType) -> None:
        suite = records.suite(DROP.replace("pair]", "mmlu]"))
        verdict = judge(suite, self.record(records, 10)).verdicts[1]
        assert (verdict.status, verdict.message) == ("error", "not measured: the record has no task 'mmlu'")

    def test_without_noise_the_score_itself_is_held_against_the_bound(self, records: ModuleType) -> None:
        suite = records.suite(DROP.replace("  noise: {confidence: 0.95}\n", ""))
        verdict = judge(suite, self.record(records, 60)).verdicts[0]
        assert (verdict.status, verdict.interval, verdict.detects) == ("fail", None, None)


class TestJudgement:
    """All editors together."""

    def test_a_whole_gate_gives_every_kind_of_verdict(self, records: ModuleType) -> None:
        base, run = records.whole_run()
        _, mild = records.whole_run("rome", growth=0.004)
        suite = records.suite(records.GATE, may_change="{layers: [1, 2, 3], matrices: [mlp_out]}")
        judgement = judge(suite, records.record(base, [run, mild]))
        memit, rome = judgement.editors
        assert memit.counts == {"fail": 2, "error": 0, "warn": 1, "inconclusive": 2, "pass": 5, "skip": 1}
        assert rome.counts["fail"] == 0
        assert (memit.held_to, rome.held_to) == (40, 120)
        assert memit.runs[0].edits_per_key_dimension == pytest.approx(120 / 512)
        assert [verdict.status for verdict in memit.worst_first][:3] == ["fail", "fail", "warn"]
        assert judgement.exit_status() == 1

    def test_one_editor_with_two_settings_is_two_editors(self, records: ModuleType) -> None:
        run = growing(records, 1.5).runs[0]
        info = run.editor.model_copy(update={"settings": {"layers": [2]}})
        other = run.model_copy(update={"editor": info})
        judgement = judge(records.suite(NORM), records.record(growing(records).base, [run, other]))
        assert [editor.editor for editor in judgement.editors] == ["rome", "rome (2)"]
        assert [verdict.editor for verdict in judgement.verdicts] == ["rome", "rome (2)"]

    def test_a_check_is_put_to_the_editors_that_it_is_for(self, records: ModuleType) -> None:
        run = growing(records, 1.5).runs[0]
        other = run.model_copy(update={"editor": run.editor.model_copy(update={"name": "memit"})})
        record = records.record(growing(records).base, [run, other])
        suite = parse_suite(
            "schema: 1\nname: x\neditors: [rome, memit, ft]\nchecks:\n"
            "  a: {metric: weight_norm, assert: '> 0', only: rome}\n"
            "  b: {metric: weight_norm, assert: '> 0', except: [rome, ft]}\n"
            "  c: {metric: weight_norm, assert: '> 0'}\n"
        ).spec
        verdicts = [(verdict.editor, verdict.check) for verdict in judge(suite, record).verdicts]
        assert verdicts == [("rome", "a"), ("rome", "c"), ("memit", "b"), ("memit", "c")]

    def test_an_editor_that_no_check_is_for_does_not_pass(self, records: ModuleType) -> None:
        suite = parse_suite(
            "schema: 1\nname: x\neditors: [rome, memit]\nchecks:\n"
            "  a: {metric: weight_norm, assert: '> 0', only: memit}\n"
        ).spec
        assert judge(suite, growing(records, 1.5)).exit_status() == 3

    def test_it_is_plain_json_with_numbers_that_are_not_finite_as_words(self, records: ModuleType) -> None:
        judgement = judge(records.suite(NORM), growing(records, 1.5, float("nan")))
        content = json.loads(json.dumps(judgement.as_dict(), allow_nan=False))
        assert content["editors"][0]["verdicts"][0]["value"] == "NaN"
        assert content["exit_status"] == 1

    def test_in_json_a_verdict_is_flat_and_says_its_problem_as_data(self, records: ModuleType) -> None:
        check = NORM.replace("}, rel", "}, at: [20, 50], rel")
        content = judge(records.suite(check), growing(records, 1.5, 1.6)).as_dict()
        verdict = content["editors"][0]["verdicts"][0]
        grouped = {"value", "where", "key", "checkpoint", "seed", "margin"}
        grouped |= {"held_to", "failed_at", "interval", "p_value", "detects", "flip_rate"}
        assert verdict.keys() >= grouped
        assert not verdict.keys() & {"worst", "bracket", "noise"}
        assert (verdict["task"], verdict["within_noise"]) == (None, False)
        assert verdict["problem"] == {
            "kind": "no_such_checkpoint",
            "message": verdict["message"],
            "edits": 50,
        }

    def test_a_verdict_on_a_task_says_which(self, records: ModuleType) -> None:
        base, run = records.whole_run()
        suite = records.suite(records.GATE, may_change="{layers: [1, 2, 3], matrices: [mlp_out]}")
        found = judge(suite, records.record(base, [run])).verdicts
        tasks = {verdict.check: verdict.task for verdict in found if verdict.name == "task_drop"}
        assert tasks == {f"task_drop[{task}]": task for task in ("choice", "sentiment", "pair", "wnli")}
        assert all(verdict.within_noise for verdict in found if verdict.status == "inconclusive")
        assert any(verdict.within_noise for verdict in found)

    def test_judging_twice_gives_the_same_judgement(self, records: ModuleType) -> None:
        base, run = records.whole_run()
        record = records.record(base, [run])
        suite = records.suite(records.GATE, may_change="{layers: [1, 2, 3], matrices: [mlp_out]}")
        assert judge(suite, record) == judge(suite, Record.model_validate_json(record.model_dump_json()))


class TestExitStatus:
    """What a pipeline is told."""

    @pytest.mark.parametrize(
        ("statuses", "status", "strict"),
        [
            (["pass", "skip"], 0, 0),
            (["pass", "warn"], 0, 1),
            (["pass", "inconclusive"], 0, 1),
            (["pass", "fail"], 1, 1),
            (["pass", "error"], 3, 3),
            (["fail", "error"], 1, 1),
            (["warn", "error"], 3, 1),
            (["skip", "skip"], 3, 3),
            ([], 3, 3),
        ],
    )
    def test_failures_outrank_errors_and_nothing_judged_is_an_error(
        self, statuses: list[Any], status: int, strict: int
    ) -> None:
        verdicts = tuple(Verdict("rome", "c", "c", "m", each, "<= 1") for each in statuses)
        judgement = Judgement("s", "world", (EditorJudgement("rome", verdicts, ()),))
        assert (judgement.exit_status(), judgement.exit_status(strict=True)) == (status, strict)
        assert judgement.passed == (status == 0)

    def test_one_editor_that_was_not_judged_is_an_error_though_another_held(self) -> None:
        editors = (
            EditorJudgement("rome", (Verdict("rome", "c", "c", "m", "pass", "<= 1"),), ()),
            EditorJudgement("memit", (Verdict("memit", "c", "c", "m", "skip", "<= 1"),), ()),
        )
        assert Judgement("s", "world", editors).exit_status() == 3

    def test_a_record_without_a_run_is_an_error(self, records: ModuleType) -> None:
        judgement = judge(records.suite(NORM), records.record(records.checkpoint(0), []))
        assert (judgement.exit_status(), judgement.notes) == (3, ("the record holds no run",))


def test_judging_imports_no_torch() -> None:
    code = "import stability.judge, stability.report, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
