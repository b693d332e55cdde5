"""The engine on the built-in model, with editors written for the occasion."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from stability.editors import Store, find_editor, wrap_editor
from stability.errors import DataError, StabilityError
from stability.models import Snapshot, load_model
from stability.record import Problem, read_record
from stability.run import Experiment
from stability.run.listener import Silent
from stability.suite import EditsSpec, ModelSpec, parse_suite

SUITE = parse_suite(
    """
schema: 1
name: engine
run: {edits: {source: world, count: 4}, checkpoints: [2], seeds: [0, 1]}
text: {source: world, tokens: 800}
probes: {tokens: 200}
checks: {norm: {metric: weight_norm, relative_to: base, assert: "<= 2"}}
"""
)
EDITED = "transformer.h.0.mlp.c_proj.weight"


@pytest.fixture(scope="module")
def loaded():
    return load_model(ModelSpec())


@pytest.fixture(scope="module")
def experiment(loaded):
    return Experiment(SUITE, loaded)


def weight(model):
    return model.transformer.h[0].mlp.c_proj.weight


def grow(model, tokenizer, edits):
    with torch.no_grad():
        weight(model).mul_(1.1)


def run(experiment, editor, seed=0):
    return experiment.run(wrap_editor(editor), seed)


def test_checkpoints_are_taken_where_asked_and_name_what_changed(experiment):
    result = run(experiment, grow)
    assert [checkpoint.edits for checkpoint in result.checkpoints] == [2, 4]
    assert all(checkpoint.changed == (EDITED,) for checkpoint in result.checkpoints)
    assert (result.status, len(result.edits)) == ("complete", 4)


def test_the_norm_ratio_is_that_of_the_edits(experiment):
    base = experiment.record.base.readings["weight_norm"].values[EDITED]
    norms = [
        checkpoint.readings["weight_norm"].values[EDITED] / base
        for checkpoint in run(experiment, grow).checkpoints
    ]
    assert norms == pytest.approx([1.1**2, 1.1**4], rel=1e-5)


def test_the_norm_equals_numpys_in_float64(experiment, loaded):
    for name, norm in experiment.record.base.readings["weight_norm"].values.items():
        exact = np.linalg.norm(loaded.model.get_parameter(name).numpy().astype(np.float64))
        assert norm == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("how", ["hook", "wrapped", "data", "half-way"])
def test_the_model_is_put_back_bit_for_bit_whatever_an_editor_did(experiment, loaded, how):
    pristine = Snapshot(loaded.model)
    inputs = torch.arange(6)[None]
    expected = loaded.model(inputs).logits

    def editor(model, tokenizer, edits):
        if how == "hook":
            model.transformer.h[2].register_forward_hook(lambda module, args, output: output)
            grow(model, tokenizer, edits)
        elif how == "wrapped":
            model.transformer.h[0].mlp = nn.Sequential(model.transformer.h[0].mlp)
        elif how == "data":
            weight(model).data = weight(model).data.clone() * 2
        else:
            grow(model, tokenizer, edits)
            raise ValueError("half-way")
        model.train()

    run(experiment, editor)
    assert pristine.changed(loaded.model) == ()
    assert torch.equal(loaded.model(inputs).logits, expected)
    assert not loaded.model.training
    assert not loaded.model.transformer.h[2]._forward_hooks


def test_an_editor_that_returns_a_new_model_is_measured_by_it(experiment, loaded):
    import copy

    def editor(model, tokenizer, edits):
        edited = copy.deepcopy(model)
        grow(edited, tokenizer, edits)
        return edited

    result = run(experiment, editor)
    assert result.checkpoints[-1].changed == (EDITED,)
    assert result.checkpoints[-1].readings == run(experiment, grow).checkpoints[-1].readings


def test_an_editor_that_returns_something_else_is_told_so(experiment):
    result = run(experiment, lambda model, tokenizer, edits: edits)
    assert result.status == "failed"
    assert "returned a tuple; an editor returns the edited model" in result.error.message


def test_an_editor_that_raises_ends_its_run_with_where_and_why(experiment):
    made = []

    def editor(model, tokenizer, edits):
        made.extend(edits)
        if len(made) == 3:
            raise ZeroDivisionError("no more")

    result = run(experiment, editor)
    assert (result.status, result.failed_at) == ("failed", 2)
    assert "edit 3" in result.error.message
    assert "ZeroDivisionError: no more (test_experiment.py:" in result.error.message
    assert [checkpoint.edits for checkpoint in result.checkpoints] == [2]


EVERYTHING = parse_suite(
    """
schema: 1
name: everything
run: {edits: {source: world, count: 2}}
text: {source: world, tokens: 800}
checks:
  took: {metric: edit_success, assert: ">= 0"}
  retained: {metric: retention, assert: ">= 0"}
  perplexity: {metric: perplexity, relative_to: base, assert: "<= 1e9"}
  activations: {metric: activation_norm, relative_to: base, assert: ">= 0"}
"""
)


@pytest.mark.parametrize(
    ("editor", "settings"),
    [
        ("rome", {"layers": [0], "v_num_grad_steps": 2, "mom2_adjustment": False}),
        ("lora", {"layers": [0], "merge": False, "num_steps": 2}),
    ],
)
def test_no_model_is_run_without_a_mask_of_which_transformers_would_warn(
    monkeypatch, tmp_path, editor, settings
):
    def refuse(self, input_ids, attention_mask):
        assert attention_mask is not None

    monkeypatch.setattr(PreTrainedModel, "warn_if_padding_and_no_attention_mask", refuse)
    experiment = Experiment(EVERYTHING, load_model(ModelSpec()), store=Store(tmp_path))
    assert experiment.run(find_editor(editor, settings), 0).status == "complete"


def test_an_editors_random_numbers_come_from_the_seed_and_leave_the_callers_alone(experiment):
    drawn = []

    def editor(model, tokenizer, edits):
        drawn.append((float(torch.rand(())), float(np.random.rand())))

    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    run(experiment, editor, seed=0)
    run(experiment, editor, seed=0)
    run(experiment, editor, seed=1)
    assert torch.equal(torch.rand(3), expected)
    first, again, other = drawn[:4], drawn[4:8], drawn[8:]
    assert first == again
    assert not set(first) & set(other)
    assert len(set(first)) == 4


def test_a_seed_decides_which_edits_are_made(experiment):
    ids = {seed: [edit.id for edit in run(experiment, grow, seed).edits] for seed in (0, 1)}
    assert ids[0] != ids[1]


def test_a_metric_that_alters_the_model_is_found_out(experiment, loaded, monkeypatch):
    from stability.metrics import find_metric

    def meddle(self, context):
        with torch.no_grad():
            context.model.transformer.ln_f.bias.add_(1)
        return original(self, context)

    original = find_metric("perplexity").measure
    monkeypatch.setattr(find_metric("perplexity"), "measure", meddle)
    result = run(experiment, grow)
    assert result.status == "failed"
    assert "measuring altered the model: transformer.ln_f.bias" in result.error.message
    assert "transformer.ln_f.bias" not in Snapshot(loaded.model).changed(loaded.model)


def test_the_record_is_on_the_disk_after_every_checkpoint(loaded, tmp_path):
    path = tmp_path / "run.json"
    experiment = Experiment(SUITE, loaded, path=path)
    seen = []

    def editor(model, tokenizer, edits):
        seen.append(len(read_record(path).runs[0].checkpoints) if path.exists() else 0)

    run(experiment, editor)
    assert seen == [0, 0, 1, 1]
    assert len(read_record(path).runs[0].checkpoints) == 2


def test_a_run_may_stop_at_its_first_failure(loaded):
    experiment = Experiment(SUITE, loaded, keep_going=lambda record: False)
    result = run(experiment, grow)
    assert (result.status, len(result.edits), len(result.checkpoints)) == ("truncated", 2, 1)


class Reporting:
    """Reports what it is told to, of every call."""

    def __init__(self, report):
        self._report = report

    def edit(self, model, tokenizer, edits):
        grow(model, tokenizer, edits)

    def report(self):
        return self._report


def test_what_an_editor_reports_of_each_edit_is_kept_with_the_edit(experiment):
    result = run(experiment, Reporting({"value_norm": [2.5]}))
    assert [outcome.reported for outcome in result.edits] == [{"value_norm": 2.5}] * 4
    assert all(outcome.reported == {} for outcome in run(experiment, grow).edits)


def test_a_report_that_is_not_one_number_for_each_edit_ends_the_run(experiment):
    result = run(experiment, Reporting({"value_norm": [2.5, 1.0]}))
    assert result.status == "failed"
    assert "report() gives 2 values of 'value_norm' for 1 edits" in result.error.message


def test_a_report_of_something_else_than_numbers_ends_the_run(experiment):
    result = run(experiment, Reporting({"value_norm": ["long"]}))
    assert (result.status, result.failed_at) == ("failed", 0)
    assert "reporting: ValueError" in result.error.message


class RefusalError(StabilityError):
    """An error of another package, made without telling the harness's own what it says."""

    def __init__(self, layer):
        Exception.__init__(self, f"layer {layer} is mine")


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        (KeyError("maintenance window: finance is not finite"), "editor_raised"),
        (ValueError("banana"), "editor_raised"),
        (RuntimeError("out of memory, said the elephant"), "editor_raised"),
        (torch.OutOfMemoryError("no room"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (ZeroDivisionError("interrupted"), "editor_raised"),
        (DataError("the subject has no token"), "no_data"),
        (RefusalError(3), "not_measured"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_ended_a_run_is_told_by_the_type_of_what_was_raised(experiment, raised, kind):
    def editor(model, tokenizer, edits):
        raise raised

    error = run(experiment, editor).error
    assert error.kind == kind
    if kind != "no_data" and not isinstance(raised, StabilityError):
        assert error.file.startswith("test_experiment.py:")
        assert error.message.endswith(f"({error.file})")


def test_a_model_that_gives_nan_is_told_as_such_wherever_it_is_asked(experiment):
    def editor(model, tokenizer, edits):
        with torch.no_grad():
            weight(model)[0, 0] = float("nan")

    result = run(experiment, editor)
    assert result.error.kind == "not_finite"
    [checkpoint] = result.checkpoints
    assert {problem.kind for problem in checkpoint.errors.values()} == {"not_finite"}
    assert checkpoint.errors["perplexity"].count == 1


def test_a_model_that_has_no_room_to_be_asked_is_out_of_memory(experiment):
    def editor(model, tokenizer, edits):
        def full(module, args):
            raise torch.OutOfMemoryError("no room")

        model.transformer.h[1].register_forward_pre_hook(full)

    result = run(experiment, editor)
    assert result.error.kind == "out_of_memory"
    assert result.error.message == "the edited model cannot be run: OutOfMemoryError: no room"


def test_an_interruption_is_recorded_as_one(experiment):
    def editor(model, tokenizer, edits):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(experiment, editor)
    assert experiment.record.runs[-1].error == Problem(kind="interrupted", message="interrupted")


def test_what_there_is_nothing_to_measure_of_is_told_apart(experiment):
    skipped = experiment.record.base.skipped
    assert {skipped[name].kind for name in ("edit_success", "retention", "value_norm")} == {"no_edits"}
    [_, last] = run(experiment, grow).checkpoints
    assert last.skipped["value_norm"].kind == "nothing_to_measure"
    assert {one.kind for one in last.readings["probe_accuracy"].left_out.values()} <= {"probe_unreliable"}


def test_an_edit_too_long_for_the_model_is_refused_before_anything_is_measured(loaded, tmp_path):
    long = {"id": "q7", "prompt": "{}" + " is" * 2_000, "subject": "Ada", "target": "porter"}
    short = {"id": "q1", "prompt": "{} is a", "subject": "Ada", "target": "porter"}
    path = tmp_path / "edits.json"
    path.write_text(json.dumps([short, long]))
    spec = SUITE.spec.model_copy(
        update={"run": SUITE.spec.run.model_copy(update={"edits": EditsSpec(path=str(path), count=2)})}
    )
    stages = []

    class Stages(Silent):
        def stage(self, name):
            stages.append(name)

    with pytest.raises(
        DataError, match=r"edit q7: its prompt has [\d,]+ tokens .* the model takes \d+ at once"
    ):
        Experiment(replace(SUITE, spec=spec), loaded, listener=Stages())
    assert stages == []


@pytest.mark.parametrize("raised", [SystemExit(0), GeneratorExit()], ids=["SystemExit", "GeneratorExit"])
def test_an_editor_that_would_end_the_program_ends_its_run(experiment, raised):
    def editor(model, tokenizer, edits):
        raise raised

    error = run(experiment, editor).error
    assert error.kind == "editor_raised"
    assert type(raised).__name__ in error.message


def test_flags_of_the_process_are_put_back(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def editor(model, tokenizer, edits):
        torch.set_default_dtype(torch.float64)
        os.chdir("/")
        grow(model, tokenizer, edits)

    result = run(experiment, editor)
    assert (result.status, result.isolation) == ("complete", "none")
    assert (torch.get_default_dtype(), Path.cwd()) == (torch.float32, tmp_path)
    assert run(experiment, grow).status == "complete"


def test_a_record_goes_where_it_was_to_go_whatever_folder_an_editor_changes_to(loaded, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiment = Experiment(SUITE, loaded, path=Path("out", "run.json"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run(experiment, lambda model, tokenizer, edits: os.chdir(elsewhere))
    assert [
        checkpoint.edits for checkpoint in read_record(tmp_path / "out/run.json").runs[0].checkpoints
    ] == [2, 4]
    assert list(elsewhere.iterdir()) == []


def test_after_a_run_that_leaves_something_the_next_is_refused():
    loaded = load_model(ModelSpec())
    experiment = Experiment(SUITE, loaded)

    def editor(model, tokenizer, edits):
        tokenizer.add_tokens(["<left>"])

    assert run(experiment, editor).status == "complete"
    refused = run(experiment, grow)
    assert (refused.status, refused.failed_at, refused.checkpoints) == ("failed", 0, ())
    assert refused.error.kind == "model_unusable"
    assert "editor at seed 0 has changed the tokenizer, and that cannot be put back" in refused.error.message
