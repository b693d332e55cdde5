"""What the keys of a suite mean, and what holds where they are left out."""

import math

import pytest
from pydantic import ValidationError

from stability.suite import parse_suite
from stability.suite.schema import (
    CheckSpec,
    EditorSpec,
    LimitsSpec,
    Noise,
    RunSpec,
    parse_layers,
    parse_matrices,
)

MINIMAL = "schema: 1\nname: x\nchecks: {a: {metric: weight_norm, assert: '<= 2'}}"


def test_another_gguf_file_of_a_folder_is_another_suite():
    suites = [parse_suite(f"{MINIMAL}\nmodel: {{name: x, gguf: {file}.gguf}}") for file in ("a", "b")]
    assert len({suite.measured_fingerprint for suite in suites}) == 2


def test_what_is_measured_where_a_suite_leaves_it_out_stays_so_that_earlier_records_are_of_the_same_suite():
    assert parse_suite(MINIMAL).measured == {
        "schema_": 1,
        "model": {
            "name": "world",
            "revision": None,
            "dtype": "float32",
            "device": None,
            "device_map": None,
            "trust_remote_code": False,
        },
        "run": {
            "edits": {"source": "world", "path": None, "count": 20, "batch": 1},
            "checkpoints": [],
            "seeds": [0],
            "stop_on": "never",
        },
        "text": {"source": "world", "path": None, "tokens": 10_000, "window": 256, "skip_tokens": 1},
        "probes": {"C": 0.01, "tokens": 2_000, "train_share": 0.5, "minimum_base_accuracy": 0.95},
        "tasks": {
            "include_path": None,
            "data": None,
            "limit": None,
            "num_fewshot": None,
            "batch_size": 32,
            "require_data": False,
        },
        "tasks_measured": [],
        "metrics": ["weight_norm"],
    }


def test_noise_is_told_at_95_percent_and_a_check_fails_unless_it_is_said_to_warn():
    check = CheckSpec.model_validate({"metric": "task_score", "assert": ">= 1"})
    assert (Noise().confidence, Noise().max_detectable, Noise().on_inconclusive) == (0.95, None, "warn")
    assert (check.severity, check.require, check.change, check.at) == ("fail", False, "ratio", None)


def test_an_edit_may_take_ten_minutes_and_a_run_a_day_if_nothing_else_is_said():
    limits = LimitsSpec()
    assert (limits.edit_seconds, limits.total_seconds, limits.memory_bytes) == (600, 24 * 60 * 60, None)
    assert math.isinf(LimitsSpec(edit_seconds=math.inf).edit_seconds)


@pytest.mark.parametrize(
    ("memory", "found"),
    [("7MB", 7_000_000), ("3 GB", 3_000_000_000), ("2MiB", 2_097_152), ("20 GiB", 21_474_836_480)],
)
def test_memory_is_read_in_decimal_and_in_binary_units(memory, found):
    assert LimitsSpec(memory=memory).memory_bytes == found


@pytest.mark.parametrize("memory", ["7", "7 kB", "GiB", "-1GB", "1.5GB", "7  GB"])
def test_memory_in_no_unit_is_refused(memory):
    with pytest.raises(ValidationError, match="pattern"):
        LimitsSpec(memory=memory)


@pytest.mark.parametrize(
    "part",
    [
        {"run": {"edits": {"count": 0}}},
        {"run": {"edits": {"batch": 0}}},
        {"run": {"seeds": [-1]}},
        {"run": {"seeds": []}},
        {"run": {"checkpoints": [-1]}},
        {"run": {"limits": {"edit_seconds": 0}}},
        {"text": {"tokens": 1}},
        {"text": {"window": 1}},
        {"text": {"skip_tokens": -1}},
        {"probes": {"C": 0}},
        {"probes": {"train_share": 1}},
        {"probes": {"minimum_base_accuracy": 0.4}},
        {"probes": {"minimum_base_accuracy": 1.1}},
        {"tasks": {"limit": 0}},
        {"tasks": {"num_fewshot": -1}},
    ],
)
def test_a_number_that_means_nothing_there_is_refused(part):
    content = parse_suite(MINIMAL).spec.model_dump(by_alias=True)
    with pytest.raises(ValidationError):
        type(parse_suite(MINIMAL).spec).model_validate({**content, **part})


@pytest.mark.parametrize("confidence", [0.5, 1.0, 1.5])
def test_a_confidence_is_more_than_a_guess_and_less_than_certainty(confidence):
    with pytest.raises(ValidationError):
        Noise(confidence=confidence)


def test_what_was_read_cannot_be_changed_afterwards():
    spec = parse_suite(MINIMAL).spec
    with pytest.raises(ValidationError, match="frozen"):
        spec.name = "other"


def run(checkpoints, batch, count):
    return RunSpec.model_validate({"edits": {"count": count, "batch": batch}, "checkpoints": checkpoints})


def test_a_checkpoint_is_after_a_whole_batch_or_at_the_end():
    assert run([4, 8], batch=4, count=10).schedule() == (4, 8, 10)
    assert run([10], batch=4, count=10).schedule() == (10,)
    assert run([11, 13], batch=4, count=10).schedule() == (10,)
    with pytest.raises(ValidationError, match="checkpoint 9 falls inside a batch of 4 edits"):
        run([8, 9], batch=4, count=10)


def test_layers_and_matrices_that_are_none_are_refused_with_what_to_write():
    with pytest.raises(ValueError, match="leave the key out to select every matrix"):
        parse_matrices([])
    with pytest.raises(ValueError, match="leave the key out to select every layer"):
        parse_layers([])
    with pytest.raises(ValueError, match="cannot read layers True"):
        parse_layers(True)


def test_a_layer_is_below_a_hundred_thousand():
    assert parse_layers("99998-99999") == (99_998, 99_999)
    with pytest.raises(ValueError, match="the highest to be named is 99999"):
        parse_layers([100_000])


def drop(**changed):
    content = {"metric": "task_score", "relative_to": "base", "assert": ">= 0.95", "noise": {}, **changed}
    return CheckSpec.model_validate(content)


def test_noise_in_a_ratio_is_told_below_and_above_no_change_but_not_below_nothing():
    assert drop().bound.low == 0.95
    assert drop(**{"assert": ">= 1.5"}).bound.low == 1.5
    assert drop(**{"assert": ">= 0", "change": "absolute"}).bound.low == 0
    for bound in (">= 0", ">= -1"):
        with pytest.raises(ValidationError, match="no ratio of scores falls below 0"):
            drop(**{"assert": bound})


@pytest.mark.parametrize(
    ("names", "concerned"),
    [
        ({}, ["rome", "memit", "ft"]),
        ({"only": "rome"}, ["rome"]),
        ({"only": ["rome", "ft"]}, ["rome", "ft"]),
        ({"except": "rome"}, ["memit", "ft"]),
    ],
)
def test_a_check_is_put_to_the_editors_that_it_names_and_to_all_if_it_names_none(names, concerned):
    check = CheckSpec.model_validate({"metric": "weight_norm", "assert": "<= 2", **names})
    assert [editor for editor in ("rome", "memit", "ft") if check.concerns(editor)] == concerned


def test_a_check_has_a_verdict_for_each_of_its_tasks_or_one():
    assert drop(for_each={"task": ["a", "b"]}).verdict_ids("drop") == ("drop[a]", "drop[b]")
    assert drop(for_each={"task": "a"}).verdict_ids("drop") == ("drop[a]",)
    assert drop().verdict_ids("drop") == ("drop",)


def test_an_editors_label_is_not_empty():
    with pytest.raises(ValidationError):
        EditorSpec.model_validate({"name": "rome", "as": ""})
