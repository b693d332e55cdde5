"""The Python door, on the built-in model."""

from pathlib import Path

import pytest

from stability import StabilityFailure, Suite, read_record
from stability.api import judge
from stability.errors import UsageError
from stability.models import load_model
from stability.suite import ModelSpec

SUITE = """
schema: 1
name: door
run: {edits: {source: world, count: 2}}
text: {source: world, tokens: 600}
probes: {tokens: 200}
checks:
  finite: {metric: nonfinite, assert: "== 0"}
  edits_took: {metric: edit_success, assert: ">= 0.90"}
"""


def nothing(model, tokenizer, edits):
    return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("door")
    (folder / "door.stability.yaml").write_text(SUITE)
    return folder


@pytest.fixture(scope="module")
def report(folder):
    return Suite.load(folder / "door.stability.yaml").run(nothing, out=folder / "out")


def test_a_report_says_what_held_and_raises_for_what_did_not(report):
    assert not report.passed
    assert report.verdict("finite").status == "pass"
    assert report.verdict("edits_took", editor="nothing").status == "fail"
    with pytest.raises(StabilityFailure, match="edits_took"):
        report.raise_for_failures()


def test_a_verdict_that_is_not_there_lists_those_that_are(report):
    with pytest.raises(KeyError, match="nothing: finite"):
        report.verdict("finit")


def test_a_report_can_be_cut_down_to_some_checks(report):
    only = report.only("nothing", ["finite"])
    assert [verdict.check for verdict in only.judgement.verdicts] == ["finite"]
    assert only.passed
    only.raise_for_failures()


def test_an_explanation_says_value_bound_and_since_when(report):
    text = report.explain(report.verdict("edits_took"))
    assert "edits_took (nothing): fail: 0 >= 0.90" in text
    assert "failed at 2" in text


def test_a_record_is_judged_again_from_its_file(report, folder):
    again = judge(folder / "out" / "run.json", folder / "door.stability.yaml")
    assert again.judgement == report.judgement
    assert again.record == read_record(folder / "out" / "run.json") == report.record


def test_a_suite_may_come_from_a_string_and_a_model_from_memory():
    loaded = load_model(ModelSpec())
    before = loaded.model.state_dict()["transformer.h.0.mlp.c_proj.weight"].clone()
    report = Suite.parse(SUITE).run("none", model=loaded.model, tokenizer=loaded.tokenizer)
    assert report.verdict("finite").status == "pass"
    assert report.record.command == ""
    assert before.equal(loaded.model.state_dict()["transformer.h.0.mlp.c_proj.weight"])


def test_a_bench_saves_measuring_the_base_again_and_changes_no_figure(report):
    from stability.api import Bench

    bench = Bench()
    suite = Suite.parse(SUITE)
    first = suite.run("none", bench=bench)
    base = first.record.base
    second = suite.run(nothing, bench=bench)
    assert second.record.base is base
    assert [run.editor.name for run in second.record.runs] == ["nothing"]
    assert [run.editor.name for run in first.record.runs] == ["none"]
    for mine, alone in zip(second.record.runs[0].checkpoints, report.record.runs[0].checkpoints, strict=True):
        assert mine.readings == alone.readings


def test_a_model_from_memory_finds_its_presets():
    loaded = load_model(ModelSpec())
    report = Suite.parse(SUITE).run("ft", model=loaded.model, tokenizer=loaded.tokenizer)
    assert report.record.runs[0].editor.settings["layers"] == [0]
    assert report.record.model.name == "world"


def test_a_model_from_memory_needs_its_tokenizer():
    with pytest.raises(UsageError, match="needs its tokenizer"):
        Suite.parse(SUITE).run("none", model=load_model(ModelSpec()).model)


def test_a_suite_without_editors_needs_one():
    with pytest.raises(UsageError, match="names no editors; give one with --editor"):
        Suite.parse(SUITE).run()


def test_a_run_is_named_after_suite_editors_and_seeds():
    text = SUITE.replace(
        "name: door", "name: door\neditors: [rome, './mine.py:edit', package.module:attribute]"
    )
    assert Suite.parse(text).folder() == Path("reports/door-rome-mine-edit-package.module.attribute-0")


def test_only_a_record_of_the_same_run_is_reused(folder):
    suite = Suite.load(folder / "door.stability.yaml")
    out = folder / "reuse"
    from stability.suite.overrides import Overrides

    none = suite.override(Overrides(editors=("none",)))
    assert none.reuse(out / "run.json") is None
    made = none.run(out=out)
    reused = none.reuse(out / "run.json")
    assert reused is not None
    assert reused.record == made.record
    assert suite.override(Overrides(editors=("rome",))).reuse(out / "run.json") is None
    assert suite.override(Overrides(editors=("none",), seeds=(1,))).reuse(out / "run.json") is None
    assert suite.override(Overrides(editors=("none",), edits=1)).reuse(out / "run.json") is None
