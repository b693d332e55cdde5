"""What trackers are told: figures as they were judged, and few enough to look at."""

import json
import math

import pytest

from stability.judge import EditorJudgement, Judgement, RunSummary, SeedVerdict, Verdict, runs_by_editor
from stability.trackers import tracked_runs
from stability.trackers.steps.series import status_of


def curve(run, *key):
    return {edits: values[key] for edits, values in run.points.items() if key in values}


def test_there_is_a_run_for_each_editor_and_seed(records, judged):
    runs = [records.whole_run(editor, seed)[1] for editor in ("memit", "rome") for seed in (1, 0)]
    tracked = tracked_runs(*judged(*runs))
    assert [run.name for run in tracked] == ["memit seed 0", "memit seed 1", "rome seed 0", "rome seed 1"]


def test_a_checks_curve_is_what_the_judge_found_at_that_seed(records, judged):
    runs = [records.whole_run(seed=seed, growth=growth)[1] for seed, growth in ((0, 0.016), (1, 0.004))]
    record, judgement = judged(*runs)
    for place, run in enumerate(tracked_runs(record, judgement)):
        for verdict in judgement.verdicts:
            key = ("check", *verdict.check.removesuffix("]").split("["))
            assert curve(run, *key) == {point.edits: point.value for point in verdict.seeds[place].points}
    assert curve(run, "check", "task_drop", "choice")


def test_an_edited_matrix_is_told_by_its_ratio_and_the_largest_one_counts(records, judged):
    record, judgement = judged()
    (run,) = tracked_runs(record, judgement)
    largest = [math.exp(0.016 * edits) for edits in (0, 20, 40, 60, 80, 100, 120)]
    assert list(curve(run, "weight_norm", "edited_max_ratio").values()) == pytest.approx(largest)
    assert next(iter(curve(run, "weight_norm", "edited_max_ratio"))) == 0


def test_late_layers_are_told_by_the_smallest_ratio(judged):
    record, judgement = judged()
    (run,) = tracked_runs(record, judgement)
    base = record.base.readings["activation_norm"].values
    last = record.runs[0].checkpoints[-1].readings["activation_norm"].values
    assert curve(run, "activation_norm", "late_min_ratio")[120] == min(
        last[key] / base[key] for key in ("6", "7")
    )


def test_pairs_that_no_edit_can_reach_are_left_out_of_the_mean(records, judged):
    base, run = records.whole_run(edited=(6,), at=(20,))
    low = {"0-1": 0.0, "2-5": 0.0, "3-6": 0.8, "6-7": 0.6, "0-7": 0.1}
    reading = records.by_pair().model_copy(
        update={"values": low, "left_out": {"0-7": records.poor("too low on the base")}}
    )
    point = run.checkpoints[0]
    point = point.model_copy(update={"readings": {**point.readings, "probe_accuracy": reading}})
    (tracked,) = tracked_runs(*judged(run.model_copy(update={"checkpoints": (point,)}), base=base))
    assert curve(tracked, "probe_accuracy", "affected_mean")[20] == pytest.approx(0.7)


def test_single_values_and_tasks_are_told_as_they_are(records, judged):
    record, judgement = judged()
    (run,) = tracked_runs(record, judgement)
    assert curve(run, "kl_divergence") == pytest.approx({edits: 0.003 * edits for edits in range(0, 121, 20)})
    for task, value in record.runs[0].checkpoints[2].readings["task_score"].values.items():
        assert curve(run, "task_score", task)[60] == value
    assert 0 not in curve(run, "edit_success")


def test_values_whose_base_is_zero_are_told_without_a_ratio(records, judged):
    base, run = records.whole_run(at=(20,))
    zero, some = records.norms(dict.fromkeys(map(records.name, range(8)), 0.0)), records.norms()
    base = base.model_copy(update={"readings": {**base.readings, "delta_norm": zero}})
    point = run.checkpoints[0]
    point = point.model_copy(update={"readings": {**point.readings, "delta_norm": some}})
    (tracked,) = tracked_runs(*judged(run.model_copy(update={"checkpoints": (point,)}), base=base))
    assert curve(tracked, "delta_norm", "edited_max") == {0: 0.0, 20: 10.0}


def test_one_value_that_is_not_finite_makes_the_curve_nan(records, judged):
    base, run = records.whole_run(at=(20,))
    broken = records.norms({records.name(2): math.inf})
    point = run.checkpoints[0]
    point = point.model_copy(update={"readings": {**point.readings, "weight_norm": broken}})
    (tracked,) = tracked_runs(*judged(run.model_copy(update={"checkpoints": (point,)}), base=base))
    assert math.isnan(curve(tracked, "weight_norm", "edited_max_ratio")[20])


def test_an_editor_that_changes_nothing_has_no_curve_of_edited_matrices(records, judged):
    base, run = records.whole_run(at=(20,))
    point = run.checkpoints[0].model_copy(update={"changed": ()})
    (tracked,) = tracked_runs(*judged(run.model_copy(update={"checkpoints": (point,)}), base=base))
    assert not {("weight_norm", "edited_max_ratio"), ("probe_accuracy", "affected_mean")} & set(
        tracked.points[20]
    )
    assert ("activation_norm", "late_min_ratio") in tracked.points[20]


def test_a_deep_model_has_no_more_curves_than_a_shallow_one(records, judged):
    base, run = records.whole_run(layers=48, at=(20,))
    deep, shallow = tracked_runs(*judged(run, base=base, layers=48)), tracked_runs(*judged())
    assert deep[0].points[20].keys() == shallow[0].points[20].keys()
    assert len(deep[0].points[20]) < 40


def test_each_seed_has_its_own_verdicts_and_horizon(two_runs):
    first, second = two_runs
    assert first.verdicts["edited_weight_norm",] == "fail"
    assert second.verdicts["edited_weight_norm",] == "pass"
    assert (first.status, second.status) == ("fail", "pass")
    assert first.results["held_to",] < second.results["held_to",] == 120
    assert first.results["verdicts", "fail"] == list(first.verdicts.values()).count("fail") > 0


@pytest.mark.parametrize("status", ["error", "skip"])
def test_a_status_that_no_seed_has_by_itself_is_that_of_all(status):
    seeds = (SeedVerdict(0, "pass", 4, None), SeedVerdict(1, "pass", 4, None))
    verdict = Verdict("rome", "norm", "norm", "weight_norm", status, "<= 2", seeds=seeds)
    assert [status_of(verdict, place) for place in (0, 1)] == [status, status]


def test_a_run_with_an_error_says_nothing_of_how_far_it_held(records, judged):
    base, run = records.whole_run(at=(20,))
    point = run.checkpoints[0]
    readings = {name: reading for name, reading in point.readings.items() if name != "kl_divergence"}
    point = point.model_copy(update={"readings": readings})
    (tracked,) = tracked_runs(*judged(run.model_copy(update={"checkpoints": (point,)}), base=base))
    assert tracked.verdicts["quiet",] == "error"
    assert ("held_to",) not in tracked.results
    assert tracked.results["edits_made",] == 20


def test_parameters_say_what_was_run_and_by_which_bounds_it_was_judged(judged):
    (run,) = tracked_runs(*judged())
    assert run.parameters["editor"]["settings"] == {"layers": [1]}
    assert run.parameters["model"]["fingerprint"] == "a" * 64
    assert run.parameters["checks"]["edited_weight_norm"] == "<= 2.0"
    assert run.parameters["edits"] == {"source": "world", "count": 120}
    assert run.parameters["versions"] == {"stability-harness": "0.1.0", "torch": "2.9"}


def test_facts_that_the_model_did_not_know_are_a_parameter_of_the_run(records, judged):
    record, judgement = judged(records.whole_run(seed=0)[1], records.whole_run(seed=1)[1])
    known = record.model_copy(update={"passed_over": {0: 778, 1: 7}})
    counts = [run.parameters["edits"]["passed_over"] for run in tracked_runs(known, judgement)]
    assert counts == [778, 7]


def test_parameters_of_a_hostile_record_are_printable_json(hostile):
    text = json.dumps(hostile.parameters, allow_nan=False, ensure_ascii=False)
    assert not {"\x1b", "\x00", "\u202e", "\n"} & set(text)
    assert (hostile.seconds, hostile.state) == (0.0, "failed")


def test_a_record_without_runs_has_nothing_to_log(records):
    record = records.record(records.checkpoint(0), [])
    assert tracked_runs(record, Judgement("x", "y", ())) == []
    assert runs_by_editor(record) == {}


def test_a_gated_model_counts_as_one_edit(records, judged):
    base, run = records.whole_run(at=(1,))
    run = run.model_copy(
        update={"editor": run.editor.model_copy(update={"source": "checkpoint"}), "edits": ()}
    )
    (tracked,) = tracked_runs(*judged(run, base=base))
    assert list(tracked.points) == [0, 1]
    assert isinstance(judged(run, base=base)[1].editors[0], EditorJudgement)
    assert tracked.results["edits_made",] == RunSummary(0, "complete", 1, 0.0).edits
