"""Every figure of a record is in a table, and a table has no other."""

import json
import math
import subprocess
import sys
import time
from collections import Counter
from typing import get_args

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stability.errors import ProblemKind, RecordError
from stability.judge import judge, runs_by_editor
from stability.record import (
    Checkpoint,
    EditorInfo,
    EditOutcome,
    Matrix,
    ModelInfo,
    Problem,
    Reading,
    Record,
    Run,
    TaskResult,
)
from stability.record.schema import MOST_CHOICES, Over
from stability.record.tables import TableName, table
from tests.examples import examples

TABLES = list(TableName)
DERIVED = {"ratio", "edit", "layer", "other_layer"}  # the rest is in run.json as it stands

names = st.sampled_from(["", "a", "b", "a.b", "=1+1", "NaN", 'say "no", twice', "\x00\r\n", "Ω"])
keys = st.sampled_from(["", "0", "3", "0-3", "h.0", "x-y", "9" * 12])
figures = st.sampled_from([0.0, -0.0, 1.5, -2.0, 1e308, 5e-324, math.nan, math.inf, -math.inf]) | st.floats()
whole = st.sampled_from([0, 1, -(2**63), 2**63 - 1, 2**53 + 1])
choices = st.sampled_from([0, 1, -(2**63), MOST_CHOICES - 1])


@pytest.fixture
def whole_record(records):
    """A record of whole runs, by default of one."""

    def make(*runs_):
        base, memit = records.whole_run()
        return records.record(base, runs_ or [memit])

    return make


def few(values, keyed_by=names):
    return st.dictionaries(keyed_by, values, max_size=2)


def some(values):
    return st.lists(values, max_size=2).map(tuple)


task_results = st.builds(
    TaskResult, metric=names, n=whole, chance=st.none() | figures, doc_ids=some(whole), gold=some(choices),
    predicted=some(choices), values=some(figures), truncated=whole,
)  # fmt: skip
problems = st.builds(Problem, kind=st.sampled_from(get_args(ProblemKind)), message=names)
readings = st.builds(
    Reading, over=st.sampled_from(get_args(Over)), values=few(figures, keys), unit=names,
    tasks=few(task_results, keys), base=few(figures, keys), left_out=few(problems, keys),
)  # fmt: skip
checkpoints = st.builds(
    Checkpoint, edits=st.integers(0, 2**40), readings=few(readings), errors=few(problems), skipped=few(problems),
    costs=few(readings),
)  # fmt: skip
outcomes = st.builds(
    EditOutcome, id=names, prompt=names, subject=names, target=names, target_true=st.none() | names,
    success=st.none() | st.booleans(), accurate=st.none() | st.booleans(),
    paraphrase_success=st.none() | figures, neighborhood_success=st.none() | figures, reported=few(figures),
)  # fmt: skip
editors = st.builds(EditorInfo, name=names, source=names, settings=few(st.none() | whole | names))
runs = st.builds(
    Run, editor=editors, seed=whole, failed_at=st.none() | whole, error=st.none() | problems,
    edits=some(outcomes), checkpoints=some(checkpoints), timing=few(figures),
)  # fmt: skip
model = ModelInfo(
    name="world", architecture="gpt2", fingerprint="f", tokenizer_fingerprint="t", dtype="float32", device="cpu",
    layers=4, parameters=6, matrices=(Matrix(name="h.0", layer=0, kind="mlp_out", d_out=2, d_in=3),),
)  # fmt: skip
some_records = st.builds(
    Record, harness_version=names, suite_name=names, suite_text=st.just(""), measured_fingerprint=st.just("m"),
    command=st.just(""), model=st.just(model), edits_source=names, text_fingerprint=names, text_tokens=whole,
    base=checkpoints, runs=some(runs), timing=few(figures),
)  # fmt: skip
some_of_them = settings(max_examples=examples(40), suppress_health_check=[HealthCheck.too_slow])


def walks(content):
    """The checkpoints of every run as run.json has them, the unedited model first."""
    if not content["runs"]:
        yield [content["base"]]
    for run in content["runs"]:
        yield [content["base"], *run["checkpoints"]]


def number(value):
    """What run.json writes for a float: itself, or a word for what JSON has no number for."""
    return None if value is None else float(value)


def same(value):
    """A value that can be counted: NaN is equal to itself, and a float is told from the integer of its size."""
    return repr(value)


def counted(rows):
    return Counter(tuple(map(same, row)) for row in rows)


def columns(record, name, *wanted):
    found = table(record, name)
    return list(zip(*(found.columns[column] for column in wanted), strict=True)) if found.rows else []


@some_of_them
@given(some_records)
def test_every_reading_of_the_file_is_a_row_and_no_row_is_of_anything_else(record):
    content = json.loads(record.model_dump_json())
    expected = []
    for points in walks(content):
        for point in points:
            for group in ("readings", "costs"):
                for metric, reading in point[group].items():
                    for key in {
                        **reading["values"],
                        **reading["base"],
                        **reading["tasks"],
                        **reading["left_out"],
                    }:
                        task = reading["tasks"].get(key, {})
                        expected.append(
                            (
                                point["edits"], metric, reading["over"], key, number(reading["values"].get(key)),
                                reading["unit"], task.get("metric"), task.get("n"), number(task.get("chance")),
                                task.get("truncated"), reading["left_out"].get(key, {}).get("message"),
                            )
                        )  # fmt: skip
            for group in ("errors", "skipped"):
                for metric, reason in point[group].items():
                    expected.append((point["edits"], metric, *[None] * 8, reason["message"]))
    found = columns(
        record, "readings", "edits", "metric", "over", "key", "value", "unit", "score", "documents", "chance",
        "truncated", "reason",
    )  # fmt: skip
    assert counted(found) == counted(expected)


@some_of_them
@given(some_records)
def test_a_readings_base_is_its_own_or_else_what_the_unedited_model_had(record):
    content = json.loads(record.model_dump_json())
    unedited = {**content["base"]["readings"], **content["base"]["costs"]}
    expected = []
    for points in walks(content):
        for point in points:
            for group in ("readings", "costs"):
                for metric, reading in point[group].items():
                    for key in {
                        **reading["values"],
                        **reading["base"],
                        **reading["tasks"],
                        **reading["left_out"],
                    }:
                        before = unedited.get(metric, {"values": {}})["values"].get(key)
                        expected.append((metric, key, number(reading["base"].get(key, before))))
    found = [
        row[:3] for row in columns(record, "readings", "metric", "key", "base", "over") if row[3] is not None
    ]
    assert counted(found) == counted(expected)


@some_of_them
@given(some_records)
def test_a_ratio_times_its_base_is_the_value_and_there_is_none_without_a_base(record):
    for value, base, ratio in columns(record, "readings", "value", "base", "ratio"):
        if value is None or base is None or base == 0 or not math.isfinite(base):
            assert ratio is None
        else:
            assert same(ratio) == same(value / base)


@some_of_them
@given(some_records)
def test_every_edit_of_the_file_is_a_row_with_what_its_editor_reported(record):
    content = json.loads(record.model_dump_json())
    plain = ("id", "prompt", "subject", "target", "target_true", "success", "accurate")
    figures = ("paraphrase_success", "neighborhood_success")
    reported = sorted({name for run in content["runs"] for edit in run["edits"] for name in edit["reported"]})
    expected = [
        (place, *(edit[name] for name in plain), *(number(edit[name]) for name in figures),
         *(number(edit["reported"].get(name)) for name in reported))
        for run in content["runs"]
        for place, edit in enumerate(run["edits"], start=1)
    ]  # fmt: skip
    found = columns(record, "edits", "edit", *plain, *figures, *(f"reported.{name}" for name in reported))
    assert counted(found) == counted(expected)


@some_of_them
@given(some_records)
def test_every_document_of_the_file_is_a_row(record):
    content = json.loads(record.model_dump_json())
    expected = []
    for points in walks(content):
        for point in points:
            for metric, reading in point["readings"].items():
                for task, result in reading["tasks"].items():
                    of_each = [result["doc_ids"], result["gold"], result["predicted"], result["values"]]
                    for place in range(max(map(len, of_each))):
                        row = [values[place] if place < len(values) else None for values in of_each]
                        expected.append(
                            (point["edits"], metric, task, result["metric"], *row[:3], number(row[3]))
                        )
    found = columns(
        record, "documents", "edits", "metric", "task", "score", "doc_id", "gold", "predicted", "value"
    )
    assert counted(found) == counted(expected)


@some_of_them
@given(some_records)
def test_every_run_of_the_file_is_a_row_with_its_times(record):
    content = json.loads(record.model_dump_json())
    stages = sorted({stage for run in content["runs"] for stage in run["timing"]})
    expected = [
        (run["seed"], run["status"], len(run["edits"]), run["failed_at"], (run["error"] or {}).get("message"), run["editor"]["name"],
         *(number(run["timing"].get(stage)) for stage in stages), *map(number, content["timing"].values()))
        for run in content["runs"]
    ]  # fmt: skip
    found = columns(
        record, "runs", "seed", "status", "edits", "failed_at", "error", "name",
        *(f"seconds.{stage}" for stage in stages), *(f"shared_seconds.{stage}" for stage in content["timing"]),
    )  # fmt: skip
    assert counted(found) == counted(expected)
    for settings_, run in zip(table(record, "runs").columns["settings"], ordered(record), strict=True):
        assert json.loads(settings_) == run.editor.settings


def ordered(record):
    return [run for found in runs_by_editor(record).values() for run in found]


def numbers_in(content):
    """Every number of a JSON document, and every text that stands for one."""
    if isinstance(content, dict):
        return {number for value in content.values() for number in numbers_in(value)}
    if isinstance(content, list):
        return {len(content), *(number for value in content for number in numbers_in(value))}
    if content in ("NaN", "Infinity", "-Infinity"):
        return {same(float(content))}
    return {content, same(content)} if isinstance(content, int | float) else set()


@some_of_them
@given(some_records)
def test_no_frame_has_a_number_that_is_not_in_the_file(record):
    known = numbers_in(json.loads(record.model_dump_json()))
    for name in TABLES:
        frame = record.frame(name)
        for column in frame.columns.difference(DERIVED):
            if pandas.api.types.is_numeric_dtype(frame[column].dtype):
                for value in frame[column].dropna().tolist():
                    assert value in known or same(value) in known


@some_of_them
@given(some_records)
def test_a_frame_holds_what_its_table_does(record):
    for name in TABLES:
        frame, found = record.frame(name), table(record, name)
        assert list(frame.columns) == list(found.kinds)
        for column, values in found.columns.items():
            for shown, value in zip(frame[column].tolist(), values, strict=True):
                if value is None or value != value:
                    assert pandas.isna(shown)
                else:
                    assert shown == value


def test_types_do_not_depend_on_what_is_there(records, whole_record):
    full, empty = whole_record(), records.record(Checkpoint(edits=0), [])
    for name in TABLES:
        before, after = empty.frame(name).dtypes, full.frame(name).dtypes
        assert dict(before) == {column: after[column] for column in before.index}
    assert {str(kind) for kind in full.frame().dtypes} == {"string", "int64", "Int64", "float64"}
    assert str(full.frame("edits").dtypes["success"]) == "boolean"


def test_every_runs_curve_begins_at_the_unedited_model(records, whole_record):
    _, memit = records.whole_run()
    frame = whole_record(memit, memit.model_copy(update={"seed": 3})).frame()
    curves = frame[(frame.metric == "weight_norm") & (frame.key == records.name(1))]
    for seed in (0, 3):
        curve = curves[curves.seed == seed]
        assert curve.edits.tolist() == [0, 20, 40, 60, 80, 100, 120]
        assert curve.base.nunique() == 1
        assert curve.ratio.iloc[0] == 1
        assert curve.ratio.is_monotonic_increasing
    assert set(curves.kind) == {"mlp_out"}
    assert set(curves.layer) == {1}


def test_the_unedited_model_alone_stands_once_without_an_editor(records):
    base, _ = records.whole_run()
    frame = records.record(base, []).frame()
    assert set(frame.edits) == {0}
    assert frame.editor.isna().all()
    assert not frame.duplicated(["metric", "key"]).any()


def test_pairs_have_both_blocks_and_what_was_left_out_says_why(whole_record):
    frame = whole_record().frame()
    pairs = frame[frame.metric == "probe_accuracy"]
    assert (pairs.layer < pairs.other_layer).all()
    out = pairs[pairs.reason.notna()]
    assert set(out.key) == {"0-7"}
    assert out.value.isna().all()


def test_editors_are_called_as_the_verdicts_call_them(records, whole_record):
    _, first = records.whole_run()
    other = first.editor.model_copy(update={"settings": {"layers": [2]}})
    record = whole_record(first, first.model_copy(update={"editor": other}))
    judgement = judge(records.suite('quiet: {metric: kl_divergence, assert: "<= 0.5"}'), record)
    called = [editor.editor for editor in judgement.editors]
    assert called == ["memit", "memit (2)"]
    for name in TABLES:
        assert record.frame(name).editor.unique().tolist() == called
    settings_ = record.frame("runs").set_index("editor").settings
    assert json.loads(settings_["memit (2)"]) == {"layers": [2]}


def test_the_accuracy_on_its_documents_is_a_tasks_score(whole_record):
    record = whole_record()
    documents, frame = record.frame("documents"), record.frame()
    right = (documents.gold == documents.predicted).groupby([documents.task, documents.edits]).mean()
    for row in frame[frame.metric == "task_score"].itertuples():
        assert right[row.key, row.edits] == pytest.approx(row.value)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**200])
def test_a_whole_number_that_pandas_cannot_hold_is_one_clear_line(records, whole_record, number):
    _, memit = records.whole_run()
    record = whole_record(memit.model_copy(update={"seed": number}))
    with pytest.raises(RecordError, match="more than 64 bits, in seed"):
        record.frame("runs")


def test_a_table_that_is_not_there_is_an_error(whole_record):
    with pytest.raises(ValueError, match="verdicts"):
        whole_record().frame("verdicts")


def test_reading_a_record_imports_no_pandas():
    code = "import sys, stability.record, stability.record.tables; assert not {'pandas', 'pyarrow', 'torch'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_two_thousand_edits_of_a_deep_model_are_a_frame_in_seconds(records):
    base, run = records.whole_run(layers=48, at=range(200, 2001, 200))
    runs = [run.model_copy(update={"seed": seed}) for seed in range(5)]
    record = records.record(base, runs, layers=48)
    start = time.perf_counter()
    rows = {name: len(record.frame(name)) for name in TABLES}
    assert time.perf_counter() - start < 20
    assert rows["edits"] == 10_000
    assert rows["readings"] > 5 * 11 * (1127 + 4 * 48)
    assert rows["documents"] == 5 * 11 * 1371
