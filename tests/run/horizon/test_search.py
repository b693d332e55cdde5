"""The stability horizon: found by bisection where measuring after every edit finds it, with fewer measurements."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from stability import Suite
from stability.api import Bench
from stability.data.edits import load_edits
from stability.editors import Store, find_editor, wrap_editor
from stability.errors import UsageError
from stability.models import Snapshot, load_model
from stability.models.modes import random_state
from stability.record import Replaced
from stability.run import Experiment
from stability.run.horizon.search import find_horizons
from stability.run.points.sums import word_sums
from stability.suite import EditsSpec, ModelSpec, parse_suite

SUITE = """
schema: 1
name: horizon
run: {edits: {source: world, count: 40}, checkpoints: [20], seeds: [0]}
text: {source: world, tokens: 100}
checks:
  norm: {metric: delta_norm, where: {matrices: edited}, assert: "<= BOUND"}
"""
MATRIX = "transformer.h.0.mlp.c_proj.weight"


@pytest.fixture(scope="module")
def loaded():
    return load_model(ModelSpec(device="cpu"))


def suite(bound=1.0, **run):
    """The suite with another bound; `run` replaces the checkpoints, seeds, and the edits' count or batch."""
    file = parse_suite(SUITE.replace("BOUND", str(bound)))
    edits = {key: run.pop(key) for key in ("count", "batch") if key in run}
    changes = {**run, "edits": file.spec.run.edits.model_copy(update=edits)}
    spec = file.spec.model_copy(update={"run": file.spec.run.model_copy(update=changes)})
    return replace(file, spec=spec)


@pytest.fixture(scope="module")
def experiment(loaded):
    """One experiment: what it measures of the unedited model does not depend on bounds, seeds or counts."""
    return Experiment(suite(), loaded)


def asked(experiment, file):
    """The experiment of another suite on the same model."""
    fresh = experiment.again(None, "", Replaced())
    fresh.suite = file
    fresh.streams = {seed: load_edits(file.spec.run.edits, seed) for seed in file.spec.run.seeds}
    return fresh


def horizon(experiment, editor, file=None, **how):
    return find_horizons(asked(experiment, file or suite()), [wrap_editor(editor)], **how)


def only(found):
    return found.editors[0].seeds[0]


class Walking:
    """Draws a random rank-one change, whose size goes with the number of edits, as `state` remembers it."""

    remembers = True

    def prepare(self, model, tokenizer, store):
        self.made = 0

    def edit(self, model, tokenizer, edits):
        weight = model.get_parameter(MATRIX)
        for _ in edits:
            self.made += 1
            change = torch.outer(torch.randn(weight.shape[0]), torch.randn(weight.shape[1]))
            with torch.no_grad():
                weight += 1e-4 * self.made * change

    def state(self):
        return {"made": self.made} if self.remembers else {}

    def load_state(self, state):
        self.made = state.get("made", 0)


def norms(loaded, editor, count=40, seed=0):
    """The largest ‖W - W0‖ / ‖W0‖ of an MLP's output matrix, by numpy in float64, after each edit by itself."""
    names = [name for name, _ in loaded.model.named_parameters() if name.endswith("mlp.c_proj.weight")]
    model, pristine = loaded.model, Snapshot(loaded.model)
    before = {name: model.get_parameter(name).double().numpy() for name in names}
    with random_state(seed):
        editor.prepare(model, loaded.tokenizer, Store())
    found = [0.0]
    for index, edit in enumerate(load_edits(EditsSpec(count=count), seed)):
        with random_state(seed * 1_000_003 + index):
            editor.edit(model, loaded.tokenizer, [edit])
        now = {name: model.get_parameter(name).double().numpy() for name in names}
        found.append(
            max(np.linalg.norm(now[name] - before[name]) / np.linalg.norm(before[name]) for name in names)
        )
    pristine.restore(model)
    assert found == sorted(found)
    return found


@pytest.fixture(scope="module")
def walked(loaded):
    """The norms of the walking editor."""
    return norms(loaded, wrap_editor(Walking))


def between(found, edits):
    """A bound that is kept after so many edits, and broken after one more."""
    return (found[edits] + found[edits + 1]) / 2


@pytest.mark.parametrize("edits", [0, 1, 12, 19, 20, 33, 39])
def test_bisection_finds_the_last_number_of_edits_that_holds(experiment, walked, edits):
    found = only(horizon(experiment, Walking, suite(between(walked, edits))))
    assert (found.edits, found.failed_at) == (edits, edits + 1)
    assert found.measurements <= 40 / 5
    assert found.error == ""


@pytest.mark.parametrize(
    ("name", "settings"), [("ft", {"num_steps": 4}), ("rome", {}), ("memit", {"v_num_grad_steps": 5})]
)
def test_real_editors_are_bisected_to_where_their_norm_passes_the_bound(experiment, loaded, name, settings):
    editor = find_editor(name, settings, "world")
    found = norms(loaded, editor, count=10)
    file = suite(between(found, 6), count=10, checkpoints=())
    bisected, every = (
        only(find_horizons(asked(experiment, file), [editor], every=how)) for how in (False, True)
    )
    assert (bisected.edits, bisected.failed_at) == (every.edits, every.failed_at) == (6, 7)
    assert bisected.measurements <= 5 < every.measurements


def test_what_every_batch_measures_is_what_bisection_assumes(experiment, walked):
    bisected, every = (
        only(horizon(experiment, Walking, suite(between(walked, 26)), every=how)) for how in (False, True)
    )
    assert (every.edits, every.failed_at) == (bisected.edits, bisected.failed_at)
    assert every.measurements == every.failed_at
    assert every.edits_repeated == 0
    assert list(every.tried) == list(range(1, every.failed_at + 1))
    assert every.reasons == bisected.reasons
    assert "norm: " in every.reasons[0]
    assert every.per_key_dimension == every.edits / 1024


def test_an_editor_goes_on_from_its_state_and_not_from_the_first_edit(experiment, walked):
    found = only(horizon(experiment, Walking, suite(between(walked, 33))))
    assert found.edits == 33
    assert found.edits_made <= 40 + 20  # from the 20th on, or from a later point that held


class Forgetful(Walking):
    """Remembers how many edits it made, and does not say so."""

    remembers = False


def test_an_editor_that_keeps_its_state_to_itself_is_taken_through_all_its_edits_again(experiment, walked):
    found = only(horizon(experiment, Forgetful, suite(between(walked, 33))))
    assert found.edits == 33
    assert found.edits_made > 40 + 20
    assert found.error == ""


def test_an_editor_that_does_not_repeat_itself_is_told_so(experiment):
    drawn = torch.Generator().manual_seed(1)

    def edit(model, tokenizer, edits):
        with torch.no_grad():
            model.get_parameter(MATRIX).add_(torch.randn((), generator=drawn), alpha=0.01)

    found = horizon(experiment, edit, suite(0.1))
    assert "the same edits with the same random numbers gave other weights" in found.error
    assert only(found).failed_at is None


def test_an_editor_that_wraps_the_model_is_taken_back_too(experiment, loaded):
    class Beside(nn.Module):
        def __init__(self, inside):
            super().__init__()
            self.inside, self.factor = inside, nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.inside(x) * self.factor

    def edit(model, tokenizer, edits):
        mlp = model.transformer.h[0].mlp
        if not isinstance(mlp.c_proj, Beside):
            mlp.c_proj = Beside(mlp.c_proj)
        with torch.no_grad():
            mlp.c_proj.factor += 0.01

    pristine = Snapshot(loaded.model)
    found = only(horizon(experiment, edit, suite(0.255)))
    assert (found.edits, found.failed_at) == (25, 26)  # 1 % of the matrix an edit
    assert pristine.changed(loaded.model) == ()


def test_batches_are_not_taken_apart(experiment, walked):
    found = only(horizon(experiment, Walking, suite(between(walked, 26), batch=6, checkpoints=())))
    exact = only(
        horizon(experiment, Walking, suite(between(walked, 26), batch=6, checkpoints=()), every=True)
    )
    assert found.edits == exact.edits
    assert found.edits % 6 == 0
    assert found.failed_at == found.edits + 6


def test_a_suite_that_holds_throughout_has_no_end_of_its_horizon(experiment):
    found = only(horizon(experiment, Walking, suite(100)))
    assert (found.edits, found.failed_at, found.measurements) == (40, None, 2)


@pytest.mark.parametrize("last", [0, 7, 25])
def test_an_editor_that_gives_up_ends_the_horizon_there(experiment, last):
    class Limited(Walking):
        def edit(self, model, tokenizer, edits):
            super().edit(model, tokenizer, edits)
            if self.made > last:
                raise ValueError("no more")

    found = only(horizon(experiment, Limited, suite(100)))
    assert (found.edits, found.failed_at) == (last, last + 1)
    assert "no more" in found.error


def test_a_model_that_is_no_number_any_more_ends_the_horizon(experiment):
    class Broken(Walking):
        def edit(self, model, tokenizer, edits):
            super().edit(model, tokenizer, edits)
            if self.made > 9:
                with torch.no_grad():
                    model.get_parameter(MATRIX)[0, 0] = float("nan")

    found = only(horizon(experiment, Broken, suite(100)))
    assert (found.edits, found.failed_at) == (9, 10)
    assert found.reasons


def test_seeds_give_the_median_and_the_worst(experiment, walked):
    found = horizon(experiment, Walking, suite(between(walked, 26), seeds=(0, 1, 2))).editors[0]
    edits = sorted(seed.edits for seed in found.seeds)
    assert (found.worst, found.median) == (edits[0], edits[1])
    content = json.loads(json.dumps(horizon(experiment, Walking, suite(between(walked, 26))).as_dict()))
    assert content["editors"][0]["median_per_key_dimension"] == content["editors"][0]["median"] / 1024


def test_checks_that_cannot_be_asked_anywhere_are_left_out_and_named(experiment, walked):
    more = """
  quick: {metric: edit_seconds, assert: "<= 0"}
  now: {metric: delta_norm, at: 7, assert: "<= LATE"}
"""
    file = parse_suite(SUITE.replace("BOUND", "100") + more.replace("LATE", str(between(walked, 26))))
    found = horizon(experiment, Walking, file)
    assert list(found.left_out) == ["quick"]
    assert only(found).edits == 26
    with pytest.raises(UsageError, match="no check can be asked"):
        horizon(experiment, Walking, parse_suite(SUITE.split("  norm")[0] + more.split("  now")[0]))


def test_a_run_gives_what_it_has_measured_already(loaded, walked, tmp_path):
    bench = Bench()
    whole = Suite(suite(between(walked, 26)))
    report = whole.run(Walking, model=loaded.model, tokenizer=loaded.tokenizer, bench=bench)
    found = whole.horizon(Walking, bench=bench, model=loaded.model, tokenizer=loaded.tokenizer, out=tmp_path)
    alone = whole.horizon(Walking, model=loaded.model, tokenizer=loaded.tokenizer)
    assert report.verdict("norm").failed_at is not None
    assert only(found).edits == only(alone).edits
    assert only(found).measurements < only(alone).measurements
    written = json.loads((tmp_path / "horizon.json").read_text())
    assert written["editors"][0]["worst"] == only(found).edits
    assert written["model_fingerprint"] == report.record.model.fingerprint


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_a_sum_of_words_sees_any_bit(dtype):
    module = nn.Module()
    module.register_buffer("values", torch.zeros(13, dtype=dtype))
    before = word_sums(dict(module.named_buffers()))
    for index in range(13):
        module.values[index] = 1
        assert word_sums(dict(module.named_buffers())) != before
        module.values[index] = 0
    assert word_sums(dict(module.named_buffers())) == before
