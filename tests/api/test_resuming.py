"""An unfinished run is gone on with where it was left, by what it began with and by nothing else."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from stability import Suite, read_record
from stability.api import Bench
from stability.data.edits import Edit
from stability.editors import Store
from stability.errors import UsageError
from stability.record import Record, write_record
from stability.suite.overrides import Overrides

SUITE = """
schema: 1
name: small
editors: [none, {name: ./editors.py:drift, as: drift}]
run: {edits: {source: file, path: edits.json, count: 4}, checkpoints: [2], seeds: [0, 1]}
text: {source: file, path: text.txt, tokens: 60}
checks:
  finite: {metric: nonfinite, assert: "== 0"}
"""
EDITORS = """
import pathlib
import torch

def drift(model, tokenizer, edits, *, share=0.01):
    ends = pathlib.Path("ends")  # at how many calls the process is to end
    if ends.exists():
        left = int(ends.read_text()) - 1
        ends.write_text(str(left))
        if left == 0:
            ends.unlink()
            raise KeyboardInterrupt
    with torch.no_grad():
        weight = model.get_parameter("transformer.h.0.mlp.c_proj.weight")
        weight.add_(torch.randn(weight.shape), alpha=share)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite with the files that it names."""
    made = tmp_path_factory.mktemp("resuming")
    (made / "small.stability.yaml").write_text(SUITE)
    (made / "editors.py").write_text(EDITORS)
    (made / "text.txt").write_text("A dog is a friend of the fox. " * 20)
    edits = [
        {"prompt": "{} plays the", "subject": name, "target_new": "oboe", "target_true": "cello"}
        for name in ("Anna Berg", "Zoe Angstrom", "Ida Lund", "Tom Vale", "Eva Strand")
    ]
    (made / "edits.json").write_text(json.dumps(edits))
    return made


@pytest.fixture(scope="module", autouse=True)
def _inside(folder: Path) -> Iterator[None]:
    with contextlib.chdir(folder):
        yield


@pytest.fixture(scope="module")
def suite(folder: Path) -> Suite:
    return Suite.load("small.stability.yaml")


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="module")
def whole(suite: Suite, bench: Bench) -> Record:
    return suite.run(bench=bench).record


@pytest.fixture(scope="module")
def ended(suite: Suite, bench: Bench, folder: Path) -> Path:
    """The folder of a run whose process ended at the third edit of the second editor's second seed."""
    Path("ends").write_text("7")
    with pytest.raises(KeyboardInterrupt):
        suite.run(out=folder / "out", bench=bench)
    return folder / "out"


@pytest.fixture
def left(ended: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(ended, tmp_path / "out"))


def test_what_has_ended_is_kept_what_was_begun_goes_on_and_the_rest_is_made(
    suite: Suite, bench: Bench, whole: Record, left: Path
) -> None:
    before = read_record(left / "run.json")
    assert [(run.editor.name, run.seed, run.status) for run in before.runs] == [
        ("none", 0, "complete"),
        ("none", 1, "complete"),
        ("drift", 0, "complete"),
        ("drift", 1, "failed"),
    ]
    report = suite.run(out=left, bench=bench, resume=True)
    assert report.record.without_times() == whole.without_times()
    assert read_record(left / "run.json") == report.record
    assert report.record.runs[:3] == before.runs[:3]
    assert [run.resumed_at for run in report.record.runs] == [(), (), (), (2,)]
    assert report.passed
    assert {path.name for path in left.iterdir()} >= {"run.json", "report.html", "junit.xml"}
    assert not (left / "points").exists()


def test_a_run_that_ended_is_judged_again_and_nothing_is_edited(
    suite: Suite, bench: Bench, left: Path
) -> None:
    made = suite.run(out=left, bench=bench, resume=True)
    (left / "report.html").unlink()
    again = suite.run(out=left, model="world", resume=True)
    assert again.record == made.record
    assert (left / "report.html").exists()


def test_with_nothing_to_go_on_with_a_run_begins(
    suite: Suite, bench: Bench, whole: Record, tmp_path: Path
) -> None:
    report = suite.run(out=tmp_path / "new", bench=bench, resume=True)
    assert report.record.without_times() == whole.without_times()


def test_the_folder_of_an_unfinished_run_says_how_to_go_on(suite: Suite, left: Path) -> None:
    with pytest.raises(UsageError, match=r"did not finish .*; go on with it by --resume"):
        suite.run(out=left)


def test_bounds_may_be_others_as_a_run_is_gone_on_with(bench: Bench, left: Path, tmp_path: Path) -> None:
    other = tmp_path / "small.stability.yaml"
    other.write_text(SUITE.replace('"== 0"', '"<= 0.5"'))
    report = Suite.load(other).run(out=left, bench=bench, resume=True)
    assert report.passed
    assert [run.status for run in report.record.runs] == ["complete"] * 4


REFUSED = {
    "a count": (("run.edits.count=5",), r"run\.edits\.count was 4, and is 5 now"),
    "seeds": (("run.seeds=[0, 2]",), r"run\.seeds was \[0, 1\], and is \[0, 2\] now"),
    "a text": (("text.tokens=50",), r"text\.tokens was 60, and is 50 now"),
    "a model": (("model.name=elsewhere",), r"of another run \(of the model world\)"),
    "a setting": (
        ("drift.share=0.02",),
        r"drift's setting share was 0\.01, and is 0\.02 now",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_other_values_are_refused_with_both(what: str, suite: Suite, left: Path) -> None:
    settings, said = REFUSED[what]
    kept = (left / "run.json").read_bytes()
    with pytest.raises(UsageError, match=said) as raised:
        suite.override(Overrides(settings=settings)).run(out=left, resume=True)
    assert str(left / "run.json") in str(raised.value)
    assert "--overwrite" in str(raised.value)
    assert raised.value.exit_status == 2
    assert (left / "run.json").read_bytes() == kept


def test_fewer_editors_are_refused(suite: Suite, left: Path) -> None:
    with pytest.raises(UsageError, match=r"the editor was none, and is drift now"):
        suite.override(Overrides(editors=("drift",))).run(out=left, resume=True)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("edits.json", "oboe", "viola", "the content of the files that the suite names"),
        ("text.txt", "dog", "cat", "the content of the files that the suite names"),
        ("editors.py", "torch.randn", "torch.rand", r"the code of drift was"),
        ("small.stability.yaml", "name: small", "name: other", "of another run"),
    ],
)
def test_other_files_are_refused(file: str, old: str, new: str, said: str, left: Path, folder: Path) -> None:
    kept = (folder / file).read_text()
    (folder / file).write_text(kept.replace(old, new))
    try:
        with pytest.raises(UsageError, match=said):
            Suite.load("small.stability.yaml").run(out=left, resume=True)
    finally:
        (folder / file).write_text(kept)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"harness_version": "0.0.1"}, r"the version of stability-harness was 0\.0\.1"),
        ({"versions": {"torch": "1.0"}}, r"the version of torch was 1\.0"),
        ({"text_fingerprint": "abc"}, "the fingerprint of the text was abc"),
    ],
)
def test_a_record_of_other_material_is_refused(
    changes: dict[str, Any], said: str, suite: Suite, bench: Bench, left: Path
) -> None:
    write_record(read_record(left / "run.json").model_copy(update=changes), left / "run.json")
    with pytest.raises(UsageError, match=said):
        suite.run(out=left, bench=bench, resume=True)


@pytest.mark.parametrize("field", ["fingerprint", "tokenizer_fingerprint"])
def test_another_model_or_tokenizer_of_the_same_name_is_refused_before_it_is_measured(
    field: str, suite: Suite, left: Path
) -> None:
    record = read_record(left / "run.json")
    other = record.model.model_copy(update={field: "0" * 64})
    write_record(record.model_copy(update={"model": other}), left / "run.json")
    with pytest.raises(UsageError, match=r"the fingerprint of the (model|tokenizer) was 000000000000"):
        suite.run(out=left, resume=True)


def test_other_edits_of_a_source_that_is_no_file_are_refused(suite: Suite, bench: Bench, left: Path) -> None:
    record = read_record(left / "run.json")
    first = record.runs[0].edits[0].model_copy(update={"target": "harp"})
    run = record.runs[0].model_copy(update={"edits": (first, *record.runs[0].edits[1:])})
    write_record(record.model_copy(update={"runs": (run, *record.runs[1:])}), left / "run.json")
    with pytest.raises(UsageError, match=r"edit 1 at seed 0 was .*harp, and is .*oboe now"):
        suite.run(out=left, bench=bench, resume=True)


def test_a_record_that_cannot_be_read_is_not_gone_on_with(suite: Suite, left: Path) -> None:
    (left / "run.json").write_text("{")
    with pytest.raises(UsageError, match=r"run\.json:1: not JSON"):
        suite.run(out=left, resume=True)


@pytest.mark.parametrize("more", [{"overwrite": True}, {"out": None}])
def test_a_run_is_gone_on_with_in_its_folder_and_not_replaced(
    more: dict[str, Any], suite: Suite, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="a run is gone on with in the folder of its record"):
        suite.run(**{"out": tmp_path, **more}, resume=True)


def test_a_run_that_overwrites_another_takes_nothing_of_its_points(
    suite: Suite, bench: Bench, whole: Record, left: Path
) -> None:
    assert list((left / "points").rglob("*.safetensors"))
    report = suite.run(out=left, bench=bench, overwrite=True)
    assert report.record.without_times() == whole.without_times()
    assert not (left / "points").exists()


class Refuses:
    """Cannot be prepared a second time."""

    prepared = 0

    def prepare(self, model: nn.Module, tokenizer: Any, store: Store) -> None:
        type(self).prepared += 1
        if self.prepared == 2:
            raise OSError("the network is down")

    def edit(self, model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        with torch.no_grad():
            model.get_parameter("transformer.h.0.mlp.c_proj.weight").mul_(1.01)
        if self.prepared == 1 and edits[0].id.endswith("3"):
            raise KeyboardInterrupt


def test_what_prevents_going_on_ends_nothing_and_it_can_be_tried_again(suite: Suite, tmp_path: Path) -> None:
    alone, bench = suite.override(Overrides(seeds=(0,))), Bench()
    Refuses.prepared = 0
    with pytest.raises(KeyboardInterrupt):
        alone.run(Refuses, out=tmp_path, bench=bench)
    made = len(read_record(tmp_path / "run.json").runs[0].edits)
    report = alone.run(Refuses, out=tmp_path, bench=bench, resume=True)
    (run,) = report.record.runs
    assert (run.status, len(run.edits)) == ("failed", made)
    assert run.error is not None
    assert "not gone on with: Refuses: preparing: OSError: the network is down" in run.error.message
    (run,) = alone.run(Refuses, out=tmp_path, bench=bench, resume=True).record.runs
    assert run.status == "complete"
    assert run.resumed_at == (2,)
