"""The Python door, on the built-in model."""

import json
import shutil
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


READS = """
schema: 1
name: reads
editors: ["./mine.py:edit"]
run: {edits: {path: edits.json, count: 2}}
text: {path: words.txt, tokens: 300}
probes: {tokens: 200}
checks:
  finite: {metric: nonfinite, assert: "== 0"}
  one: {metric: "./own_metric.py:One", assert: "== 1"}
"""
METRIC = """
from stability.metrics import Metric
from stability.parts import MetricHead
from stability.record import Reading

import counting


class One(Metric):
    head = MetricHead("one", "one", over="scalar")

    def measure(self, context):
        return Reading(over="scalar", values={"": counting.ONE})
"""
FILES = {
    "reads.stability.yaml": READS,
    "mine.py": "from steps import sizes\n\ndef edit(model, tokenizer, edits):\n    import later  # 1\n",
    "steps/sizes.py": "SIZE = 1\n",
    "later.py": "AT = 1\n",
    "edits.json": json.dumps(
        [{"id": str(i), "prompt": f"{{}} is {i}", "subject": "It", "target": "a"} for i in range(2)]
    ),
    "words.txt": "\n\n".join("Ada Lune lives in Arvo, at 1." for _ in range(200)),
    "own_metric.py": METRIC,
    "counting.py": "ONE = 1\n",
    "other.py": "OTHER = 1\n",
}


@pytest.fixture(scope="module")
def reading(tmp_path_factory):
    """A folder in which a suite was run that reads other files."""
    folder = tmp_path_factory.mktemp("reading")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        Suite.load("reads.stability.yaml").run(out="out").raise_for_failures()
    return folder


@pytest.mark.parametrize(
    ("changed", "is_reused"),
    [(name, name == "other.py") for name in FILES if name != "reads.stability.yaml"],
)
def test_a_record_is_reused_only_while_the_files_that_the_run_read_are_the_same(
    reading, tmp_path, monkeypatch, changed, is_reused
):
    folder = shutil.copytree(reading, tmp_path / "again")
    monkeypatch.chdir(folder)
    (folder / changed).write_text(FILES[changed].replace("1", "2") + "\n")
    assert (Suite.load("reads.stability.yaml").reuse(Path("out", "run.json")) is not None) == is_reused
