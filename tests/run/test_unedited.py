"""The unedited model is measured once: what was kept of it is read, and is what measuring gives, bit for bit."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import nn

from stability.editors import wrap_editor
from stability.metrics import Context, Fitted, Metric, find_metric
from stability.models import LoadedModel, Snapshot, load_model, map_model
from stability.models.identity import identity
from stability.parts import MetricHead
from stability.record import Reading, Record
from stability.run import Experiment, measured_text
from stability.run.base_keys import BaseKeys
from stability.run.unedited import UneditedFigures
from stability.store import Store, all_entries
from stability.suite import ModelSpec, SuiteFile, parse_suite

SUITE: dict[str, Any] = {
    "schema": 1,
    "name": "kept",
    "run": {"edits": {"source": "world", "count": 1}},
    "text": {"source": "world", "tokens": 600},
    "probes": {"tokens": 200},
    "tasks": {"limit": 12},
    "record": ["hyperspherical_energy", "fluency"],
    "checks": {
        "norm": {"metric": "weight_norm", "relative_to": "base", "assert": "<= 2"},
        "tasks": {
            "metric": "task_score",
            "for_each": {"task": ["world_choice", "world_pair"]},
            "relative_to": "base",
            "change": "absolute",
            "assert": ">= -0.5",
        },
    },
}
KEPT = {"observation", "fluency", "hyperspherical_energy", "probe_accuracy", "task_score", "weight_norm"}


@pytest.fixture(scope="module")
def loaded() -> LoadedModel:
    return load_model(ModelSpec())


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def suite(**changes: Any) -> SuiteFile:
    """The suite with sections changed: `probes={...}` is put into that section."""
    content = dict(SUITE)
    for key, value in changes.items():
        content[key] = {**SUITE.get(key, {}), **value} if isinstance(value, dict) else value
    return parse_suite(json.dumps(content))


def cheap(**changes: Any) -> SuiteFile:
    """The same without what is slow: tasks, energies and what is generated."""
    content = {**SUITE, "record": [], "checks": {"norm": SUITE["checks"]["norm"]}, **changes}
    return parse_suite(json.dumps(content))


def measure(by: SuiteFile, loaded: LoadedModel, store: Store) -> tuple[Record, set[str]]:
    """A record of no run, and what of the unedited model was read for it."""
    experiment = Experiment(by, loaded, store=store)
    return experiment.record, set(experiment.examination.unedited.read)


def read(by: SuiteFile, loaded: LoadedModel, store: Store) -> set[str]:
    return measure(by, loaded, store)[1]


def timeless(record: Record) -> Any:
    """A record without what no two have in common."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            left_out = ("timing", "costs", "started")
            return {key: without(one) for key, one in value.items() if key not in left_out}
        return [without(one) for one in value] if isinstance(value, list) else value

    return without(json.loads(record.model_dump_json()))


def grow(model: nn.Module, tokenizer: Any, edits: Any) -> None:
    with torch.no_grad():
        model.transformer.h[0].mlp.c_proj.weight.mul_(9.0)  # type: ignore[union-attr, operator]
        model.transformer.h[2].attn.c_attn.weight.add_(0.01)  # type: ignore[union-attr, operator]


def test_a_run_whose_base_was_kept_has_the_record_of_one_that_measured_it(
    loaded: LoadedModel, store: Store
) -> None:
    records, found = [], []
    for _ in range(2):
        experiment = Experiment(suite(record=["hyperspherical_energy"]), loaded, store=store)
        experiment.run(wrap_editor(grow), 0)
        records.append(timeless(experiment.record))
        found.append(set(experiment.examination.unedited.read))
    assert found == [set(), KEPT - {"fluency"}]
    assert records[0] == records[1]
    scores = records[1]["runs"][0]["checkpoints"][-1]["readings"]["task_score"]["values"]
    assert scores != records[1]["base"]["readings"]["task_score"]["values"]  # that something was compared


def test_the_record_says_what_was_read_and_its_times_are_those_that_were_spent(
    loaded: LoadedModel, store: Store
) -> None:
    stages: list[str] = []

    class Heard:
        def stage(self, text: str) -> None:
            stages.append(text)

        def edits(self, label: str, done: int, total: int) -> None:
            """No edits are made."""

    first = Experiment(cheap(), loaded, store=store, listener=Heard())
    assert first.record.timing.keys() == {"unedited model"}
    assert not [stage for stage in stages if "from the store" in stage]
    second = Experiment(cheap(), loaded, store=store, listener=Heard())
    assert second.record.timing.keys() == {"unedited model", "unedited model, from the store"}
    assert all(seconds > 0 for seconds in second.record.timing.values())
    assert "unedited model: from the store (observation, probe_accuracy, weight_norm)" in stages


def test_a_suite_that_asks_for_one_more_metric_measures_only_that(loaded: LoadedModel, store: Store) -> None:
    assert read(cheap(), loaded, store) == set()
    assert read(cheap(record=["hyperspherical_energy"]), loaded, store) == {
        "observation",
        "probe_accuracy",
        "weight_norm",
    }


def keys(by: SuiteFile, loaded: LoadedModel) -> dict[str, Any]:
    """The key of everything that is kept."""
    text = measured_text(by.spec.text, loaded.model, loaded.tokenizer)
    model = loaded.model
    context = Context(model, loaded.tokenizer, map_model(model), Snapshot(model), by.spec, text)
    made = BaseKeys(context, identity(model) or "")
    metrics = {name: find_metric(name)() for name in sorted(KEPT - {"observation"})}
    return {"observation": made.of_observation()} | {
        name: made.of_metric(name, metric) for name, metric in metrics.items()
    }


def same(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in one if one[name] == other[name]}


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        ({"probes": {"C": 0.5}}, {"probe_accuracy"}),
        ({"probes": {"tokens": 150}}, {"observation", "probe_accuracy"}),
        ({"text": {"tokens": 500}}, {"observation", "probe_accuracy", "fluency"}),
        ({"text": {"window": 64}}, {"observation", "probe_accuracy", "fluency"}),
        ({"text": {"skip_tokens": 2}}, {"observation", "probe_accuracy", "fluency"}),
        ({"tasks": {"limit": 5}}, {"task_score"}),
        ({"checks": {"more": {**SUITE["checks"]["tasks"], "for_each": {"task": ["cola"]}}}}, {"task_score"}),
        ({"run": {"edits": {"source": "world", "count": 9}, "seeds": [3]}}, set()),
        ({"checks": {"norm": {"metric": "weight_norm", "assert": "<= 9"}}}, set()),
    ],
)
def test_what_depends_on_what_has_changed_is_measured_anew_and_nothing_else(
    loaded: LoadedModel, changes: dict[str, Any], anew: set[str]
) -> None:
    assert same(keys(suite(), loaded), keys(suite(**changes), loaded)) == KEPT - anew


def test_tasks_are_kept_by_the_content_of_the_folders_that_they_come_from(
    loaded: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STABILITY_DATA", str(tmp_path))
    found = [keys(suite(), loaded)]
    (tmp_path / "world_pair").mkdir()
    file = tmp_path / "world_pair" / "test.jsonl"
    for content in ("", "{}", "{ }"):
        file.write_text(content)
        found.append(keys(suite(), loaded))
    for number, one in enumerate(found):
        assert [same(one, other) for other in found[number + 1 :]] == [KEPT - {"task_score"}] * (3 - number)
    assert same(found[-1], keys(suite(), loaded)) == KEPT


def test_another_number_of_threads_tokenizer_or_dtype_is_another_key_of_everything(
    loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, threads = keys(suite(), loaded), torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert same(first, keys(suite(), loaded)) == set()
    finally:
        torch.set_num_threads(threads)
    assert same(first, keys(suite(), loaded)) == KEPT
    assert same(first, keys(suite(), load_model(ModelSpec(dtype="float64")))) == set()
    monkeypatch.setattr(loaded.tokenizer, "model_max_length", 100)
    assert same(first, keys(suite(), loaded)) == set()


def test_a_hooked_model_of_the_same_weights_is_measured_and_not_kept(
    loaded: LoadedModel, store: Store
) -> None:
    plain, _ = measure(cheap(), loaded, store)
    kept = {entry.path for entry in all_entries(store.folder)}
    handle = loaded.model.transformer.h[4].mlp.register_forward_hook(  # type: ignore[union-attr, index]
        lambda module, args, output: output * 0.5
    )
    try:
        hooked, found = measure(cheap(), loaded, store)
    finally:
        handle.remove()
    assert found == set()
    assert hooked.model.fingerprint == plain.model.fingerprint
    assert hooked.base.readings["perplexity"] != plain.base.readings["perplexity"]
    assert {entry.path for entry in all_entries(store.folder)} == kept


def test_a_damaged_entry_is_measured_anew_to_the_same_bits(
    loaded: LoadedModel, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    first, _ = measure(cheap(), loaded, store)
    for entry in all_entries(store.folder):
        content = bytearray(entry.path.read_bytes())
        content[-3] ^= 4
        entry.path.write_bytes(content)
    second, found = measure(cheap(), loaded, store)
    assert found == set()
    assert caplog.text.count("is damaged and is computed anew") == 3
    assert timeless(first) == timeless(second)
    assert read(cheap(), loaded, store) != set()


def test_an_entry_that_holds_something_else_is_measured_anew(
    loaded: LoadedModel, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    found = keys(cheap(), loaded)
    store.save(found["observation"], {"norms": torch.ones(3)})
    store.save(found["weight_norm"], {"json": torch.tensor([123], dtype=torch.uint8)})
    assert read(cheap(), loaded, store) == set()
    assert caplog.text.count("has another form") == 2
    assert read(cheap(), loaded, store) != set()


@pytest.mark.skipif(os.name == "nt", reason="a file in the folder's place has another error there")
def test_where_nothing_can_be_kept_all_is_measured_and_one_line_says_so(
    loaded: LoadedModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        record, found = measure(cheap(), loaded, Store(tmp_path / "file" / "store"))
    assert found == set()
    assert not record.base.errors
    assert len([line for line in caplog.messages if "nothing is kept" in line]) == 1


class Counted(Metric):
    """How often it was fitted, in all of the process; a stranger's metric."""

    head = MetricHead("counted", "how often it was fitted", over="scalar")
    depends_on = ("text",)
    times: ClassVar[int] = 0
    keeps: ClassVar[Fitted | None] = Fitted({"one": 1}, {"two": torch.ones(3)})
    given: ClassVar[Fitted | None] = None

    def fit(self, context: Context) -> None:
        type(self).times += 1
        time.sleep(0.05)

    def measure(self, context: Context) -> Reading:
        return self.single(7)

    def fitted(self) -> Fitted | None:
        return self.keeps

    def load_fitted(self, context: Context, fitted: Fitted) -> bool:
        type(self).given = fitted
        return fitted.values == {"one": 1}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> type[Counted]:
    monkeypatch.setattr(Counted, "times", 0)
    return Counted


@pytest.fixture
def context(loaded: LoadedModel) -> Callable[[], Context]:
    spec = cheap().spec
    text = measured_text(spec.text, loaded.model, loaded.tokenizer)

    def make() -> Context:
        model = loaded.model
        return Context(model, loaded.tokenizer, map_model(model), Snapshot(model), spec, text)

    return make


def fit(context: Context, store: Store) -> Reading | None:
    metric = Counted()
    return UneditedFigures(context, store).fit(
        "./counted.py:Counted", metric, lambda: metric.measure(context)
    )


def test_a_metric_of_others_that_says_what_it_fits_is_fitted_once(
    counted: type[Counted], context: Callable[[], Context], store: Store
) -> None:
    assert fit(context(), store) == fit(context(), store) == Counted().single(7)
    assert counted.times == 1
    assert counted.given is not None
    assert torch.equal(counted.given.tensors["two"], torch.ones(3))


@pytest.mark.parametrize("kept", [None, Fitted({"one": 2})])
def test_one_that_says_nothing_or_does_not_take_it_back_is_fitted_each_time(
    counted: type[Counted],
    context: Callable[[], Context],
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    kept: Fitted | None,
) -> None:
    monkeypatch.setattr(Counted, "keeps", kept)
    fit(context(), store)
    fit(context(), store)
    assert counted.times == 2


def test_runs_that_start_at_once_fit_it_once(
    counted: type[Counted], context: Callable[[], Context], store: Store
) -> None:
    made = [context() for _ in range(4)]
    threads = [threading.Thread(target=fit, args=(one, store)) for one in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counted.times == 1
    assert {path.suffix for path in store.folder.iterdir()} == {".safetensors"}


def test_a_metric_whose_code_has_changed_is_fitted_anew(
    loaded: LoadedModel, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
from stability.metrics import Fitted, Metric
from stability.models.identity import identity
from stability.parts import MetricHead

class Mine(Metric):
    head = MetricHead("mine", "one", over="scalar")

    def measure(self, context):
        return self.single(1.0)

    def fitted(self):
        return Fitted()

    def load_fitted(self, context, fitted):
        return True
"""
    monkeypatch.chdir(tmp_path)
    for content, name, again in [(code, "a", False), (code, "a", True), (f"{code}\n# other\n", "b", False)]:
        (tmp_path / f"{name}.py").write_text(content)
        check = {"metric": f"./{name}.py:Mine", "assert": ">= 0"}
        record, found = measure(cheap(checks={"mine": check}), loaded, store)
        assert (f"./{name}.py:Mine" in found) is again
        assert record.base.readings[f"./{name}.py:Mine"].values == {"": 1.0}


def test_what_is_no_json_is_an_error_of_that_metric(
    context: Callable[[], Context], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stability.errors import MeasurementError

    monkeypatch.setattr(Counted, "keeps", Fitted({"one": object()}))
    with pytest.raises(
        MeasurementError, match=r"counted.py:Counted: what it has fitted is no JSON: TypeError"
    ):
        fit(context(), store)
