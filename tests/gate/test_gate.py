"""A gate from end to end, on copies of the built-in model: verdicts, statuses, reports."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import warnings
from dataclasses import asdict

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from stability import Suite
from stability.api import gate, judge
from stability.data.edits import load_edits
from stability.editors import Store, find_editor
from stability.errors import ModelError, UsageError
from stability.gate import default_suite
from stability.record import read_record
from stability.run import Silent
from stability.suite import EditsSpec
from stability.world import MODEL
from tests.gate.conftest import down, llama
from tests.reports import report_files

MATRIX = "transformer.h.1.mlp.c_proj.weight"
EDITS = 6
SUITE = f"""\
schema: 1
name: whole
model: world
run: {{edits: {{source: world, count: {EDITS}}}}}
text: {{source: world, tokens: 1500}}
probes: {{tokens: 300}}
may_change: {{layers: all, matrices: [mlp_out]}}
checks:
  finite: {{metric: nonfinite, assert: "== 0"}}
  frozen: {{metric: frozen_weights, assert: "== 0"}}
  norm: {{metric: weight_norm, where: {{matrices: edited}}, relative_to: base, assert: "<= 2.0"}}
  strict_norm: {{metric: weight_norm, where: {{matrices: edited}}, relative_to: base, assert: "<= 1.01"}}
  imbalance: {{metric: weight_norm, where: {{matrices: edited}}, relative_to: unedited, assert: "<= 2.0"}}
  moved: {{metric: delta_norm, where: {{matrices: edited}}, assert: "<= 5"}}
  activation: {{metric: activation_norm, where: {{layers: late}}, relative_to: base, assert: ">= 0.6"}}
  subspace: {{metric: probe_accuracy, where: {{pairs: affected}}, aggregate: mean, assert: ">= 0.7"}}
  fluent: {{metric: perplexity, relative_to: base, assert: "<= 1.5"}}
  choice:
    metric: task_score
    for_each: {{task: [world_choice]}}
    relative_to: base
    change: absolute
    assert: ">= -0.05"
  took: {{metric: edit_success, assert: ">= 0.9"}}
  kept: {{metric: retention, assert: ">= 0.9"}}
"""


def statuses(report):
    return {verdict.check: verdict.status for verdict in report.judgement.verdicts}


def low_rank(tensors):
    generator = torch.Generator().manual_seed(0)
    rows, columns = tensors[MATRIX].shape
    left, right = torch.randn(rows, 3, generator=generator), torch.randn(3, columns, generator=generator)
    tensors[MATRIX] += 0.02 * left @ right


def a_nan(tensors):
    tensors[MATRIX][3, 5] = math.nan


@pytest.fixture(scope="module")
def edited_by_rome(tmp_path_factory):
    """ROME's edits made in a run, and the edited model saved on the way; the run's report, the folder."""
    folder = tmp_path_factory.mktemp("edited")
    rome = find_editor("rome", {}, "world")
    made = []

    class SavesWhenDone:
        def prepare(self, model, tokenizer, store: Store):
            rome.prepare(model, tokenizer, store)

        def edit(self, model, tokenizer, edits):
            rome.edit(model, tokenizer, edits)
            made.extend(edits)
            if len(made) == EDITS:
                model.save_pretrained(folder)
                tokenizer.save_pretrained(folder)

    report = Suite.parse(SUITE).run(SavesWhenDone())
    (folder / "edits.json").write_text(json.dumps([asdict(edit) for edit in made]))
    return report, folder


def test_a_model_edited_by_rome_gets_the_verdicts_of_the_run_that_edited_it(edited_by_rome, tmp_path):
    in_process, folder = edited_by_rome
    report = gate(
        "world", folder, Suite.parse(SUITE), level="tasks", edits=folder / "edits.json", out=tmp_path / "out"
    )
    assert statuses(report) == statuses(in_process)
    assert statuses(report)["strict_norm"] == "fail"
    for check in ("norm", "imbalance", "moved", "activation", "subspace", "fluent", "choice[world_choice]"):
        ours, theirs = report.verdict(check), in_process.verdict(check)
        assert ours.value == pytest.approx(theirs.value, rel=1e-5), check
        assert ours.where == theirs.where
    assert report.judgement.editors[0].runs[0].edits == EDITS
    ranks = report.record.runs[0].checkpoints[0].readings["delta_rank"].values
    assert {name: rank for name, rank in ranks.items() if rank} == dict.fromkeys(
        in_process.record.runs[0].edited, EDITS
    )
    again = judge(tmp_path / "out" / "run.json", Suite.parse(SUITE))
    assert again.judgement == report.judgement
    assert {path.name for path in (tmp_path / "out").iterdir()} == report_files()


def test_weights_alone_get_the_same_verdicts_and_the_rest_is_skipped(edited_by_rome):
    in_process, folder = edited_by_rome
    report = gate("world", folder, Suite.parse(SUITE))
    found = statuses(report)
    streamed = {"finite", "frozen", "norm", "strict_norm", "imbalance", "moved"}
    assert {name: found[name] for name in streamed} == {name: statuses(in_process)[name] for name in streamed}
    messages = {check: report.verdict(check).message for check in found if check not in streamed}
    assert messages == {
        "activation": "needs --level activations",
        "subspace": "needs --level activations",
        "fluent": "needs --level activations",
        "choice[world_choice]": "needs --level tasks",
        "took": "stability only: edits not verified",
        "kept": "stability only: edits not verified",
    }
    assert "stability only: edits not verified" in str(report)
    assert "unknown edits" in str(report)
    assert "1 edit " not in str(report)


def test_edits_are_asked_of_the_edited_model_alone(edited_by_rome, copy_of_world):
    _, folder = edited_by_rome
    edits = folder / "edits.json"
    report = gate("world", folder, Suite.parse(SUITE), edits=edits)
    assert [statuses(report)[name] for name in ("took", "kept", "activation")] == ["pass", "pass", "skip"]
    assert len(report.record.runs[0].edits) == EDITS
    untouched = gate("world", copy_of_world("untouched"), Suite.parse(SUITE), edits=edits)
    assert statuses(untouched)["took"] == "fail"
    assert untouched.judgement.exit_status() == 1


def test_a_model_that_nothing_has_edited_passes(copy_of_world):
    report = gate("world", copy_of_world("same"))
    assert report.judgement.exit_status() == 0
    assert set(statuses(report).values()) == {"pass", "skip"}
    assert "no tensor differs" in str(report)


def test_an_edit_outside_of_may_change_is_named(copy_of_world):
    def meddle(tensors):
        low_rank(tensors)
        tensors["transformer.ln_f.weight"][0] += 1

    report = gate("world", copy_of_world("meddled", meddle))
    verdict = report.verdict("frozen_weights")
    assert (verdict.status, verdict.value, verdict.where) == ("fail", 1, "transformer.ln_f")
    assert "2 tensors differ, in layer 1: h.1.mlp.c_proj, transformer.ln_f" in str(report)
    assert report.record.runs[0].checkpoints[0].readings["delta_rank"].values[MATRIX] == 3


def test_a_single_nan_fails_and_no_model_is_asked(copy_of_world, edited_by_rome):
    _, folder = edited_by_rome
    report = gate(
        "world", copy_of_world("nan", a_nan), Suite.parse(SUITE), level="tasks", edits=folder / "edits.json"
    )
    assert report.judgement.exit_status() == 1
    assert report.verdict("finite").value == 1
    assert statuses(report)["norm"] == "fail"
    assert "not scored: 1 weights" in report.verdict("activation").message


def test_another_tokenizer_configuration_or_tensor_fails_by_name(copy_of_world):
    folder = copy_of_world("swapped", lambda tensors: tensors.pop(MATRIX))
    rules = json.loads((folder / "tokenizer.json").read_text())
    words = list(rules["model"]["vocab"])
    rules["model"]["vocab"] = dict(zip(words, reversed(range(len(words))), strict=True))
    (folder / "tokenizer.json").write_text(json.dumps(rules))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "n_head": 8}))
    report = gate("world", folder)
    assert report.judgement.exit_status() == 1
    assert report.verdict("same_tokenizer").where == "vocab"
    assert report.verdict("same_config").where == "n_head 4 -> 8"
    assert report.verdict("same_tensors").where == f"missing {MATRIX}"
    assert report.record.runs[0].editor.settings["differences"]["config"] == {"n_head": [4, 8]}


def test_a_missing_tensor_is_a_failure_and_what_the_model_cannot_give_an_error(copy_of_world):
    report = gate(
        "world",
        copy_of_world("gap", lambda tensors: tensors.pop(MATRIX)),
        Suite.parse(SUITE),
        level="activations",
    )
    assert statuses(report)["frozen"] == "pass"  # may_change allows it
    assert statuses(report)["activation"] == "error"
    assert "missing keys" in report.verdict("activation").message
    assert report.judgement.exit_status() == 3


def test_a_check_that_must_be_made_is_an_error_where_it_is_not(copy_of_world):
    suite = Suite.parse(SUITE.replace('assert: ">= 0.9"}', 'assert: ">= 0.9", require: true}'))
    report = gate("world", copy_of_world("same"), suite)
    assert statuses(report)["took"] == "error"


def test_the_levels_and_settings_are_checked(copy_of_world):
    with pytest.raises(UsageError, match="no level is called 'weight'"):
        gate("world", copy_of_world("same"), level="weight")


@pytest.fixture
def stability(stability_command):
    """Runs the command line."""

    def run(*arguments):
        command = [stability_command, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300)

    return run


def test_the_command_prints_what_changed_and_ends_in_the_verdicts_status(stability, copy_of_world, tmp_path):
    folder = copy_of_world("edited", low_rank)
    done = stability("gate", "world", folder, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = [line.split() for line in done.stdout.splitlines() if line.startswith(MATRIX)]
    assert row[5:] == ["3", "98,304"]
    record = read_record(tmp_path / "out" / "run.json")
    assert record.command == f"stability gate world {folder} --level weights"
    strict = stability("gate", "world", folder, "--set", "may_change.layers=0")
    assert strict.returncode == 1
    assert "h.1.mlp.c_proj" in strict.stdout


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "truncated"),
        (lambda file: file.rename(file.with_name("pytorch_model.bin")), "pickle"),
        (lambda file: file.unlink(), "no weights"),
    ],
    ids=["truncated", "pickle", "gone"],
)
def test_what_cannot_be_read_is_one_line_and_status_3(stability, copy_of_world, damage, message):
    folder = copy_of_world("broken")
    damage(folder / "model.safetensors")
    done = stability("gate", "world", folder)
    assert done.returncode == 3
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_missing_shard_names_it(copy_of_world):
    folder = copy_of_world("sharded")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    weight_map = {MATRIX: "model-1.safetensors", "transformer.wte.weight": "model-2.safetensors"}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": weight_map})
    )
    with pytest.raises(ModelError, match=r"model-2\.safetensors is missing"):
        gate("world", folder)


def test_weights_are_gated_without_torch(copy_of_world):
    code = (
        "import sys; from stability.api import gate; report = gate(*sys.argv[1:]);"
        "assert report.passed; heavy = {'torch', 'transformers', 'lm_eval'} & sys.modules.keys(); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code, "world", str(copy_of_world("edited", low_rank))], check=True)


def test_of_edits_of_one_prompt_the_last_is_asked_for(copy_of_world, tmp_path):
    first = load_edits(EditsSpec(source="world", count=1), seed=0)[0]
    rows = [
        asdict(first),
        {**asdict(first), "id": "undone", "target": first.target_true, "target_true": first.target},
    ]
    (tmp_path / "edits.json").write_text(json.dumps(rows))
    shutil.copytree(MODEL, tmp_path / "same")
    report = gate("world", tmp_path / "same", Suite.parse(SUITE), edits=tmp_path / "edits.json")
    assert [edit.id for edit in report.record.runs[0].edits] == ["undone"]
    assert statuses(report)["took"] == "pass"


def test_a_model_of_an_unknown_architecture_is_gated_by_the_names_in_its_files(save):
    def write(name, change=None):
        tensors = llama(torch.float32)
        if change is not None:
            change(tensors)
        return save(name, tensors, config={"model_type": "unheard_of"})

    def doubled(tensors):
        tensors[down(1)] *= 2.5

    base = write("base")
    assert gate(base, write("same")).judgement.exit_status() == 0
    report = gate(base, write("doubled", doubled))
    assert report.verdict("edited_weight_norm").value == pytest.approx(2.5)
    assert report.verdict("norm_imbalance").status == "fail"
    assert report.verdict("frozen_weights").where == "layers.1.mlp.down_proj"
    with pytest.raises(ModelError):
        gate(base, write("again"), level="activations")


def test_an_adapter_alone_is_gated_at_every_level_and_the_report_says_so(tmp_path):
    model = AutoModelForCausalLM.from_pretrained(MODEL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = get_peft_model(
            model, LoraConfig(r=2, target_modules=[MATRIX.removesuffix(".weight")], fan_in_fan_out=True)
        )
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.data.fill_(0.01)
        wrapped.save_pretrained(tmp_path)
    report = gate("world", tmp_path, Suite.parse(SUITE), level="activations")
    assert statuses(report)["activation"] == "pass"
    assert statuses(report)["frozen"] == "pass"
    assert report.record.runs[0].edited == {MATRIX}
    assert any(f"with the adapter in {tmp_path} merged" in note for note in report.judgement.editors[0].notes)


def test_a_stale_index_beside_the_weights_is_said_not_to_be_read(copy_of_world):
    folder = copy_of_world("stale")
    (folder / "model.safetensors.index.json").write_text("{}")
    report = gate("world", folder)
    assert report.judgement.exit_status() == 0
    assert "not read, as transformers does not: model.safetensors.index.json" in str(report)


class InterruptedLoading(Silent):
    """Stands for Ctrl-C while the edited model is loaded."""

    def stage(self, text):
        if text == "loading the edited model":
            raise KeyboardInterrupt


def test_interrupted_it_keeps_what_the_files_say(copy_of_world, tmp_path):
    edited, out = copy_of_world("edited", low_rank), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        gate(MODEL, edited, level="activations", out=out, listener=InterruptedLoading())
    record = read_record(out / "run.json")
    assert record.is_unfinished
    found = {verdict.check: verdict for verdict in judge(record, default_suite()).judgement.verdicts}
    assert found["same_tensors"].status == "pass"
    assert found["edited_weight_norm"].value is not None
    assert (found["structure"].status, found["activation_norm"].status) == ("error", "error")
    assert "interrupted" in found["structure"].message
    assert "the run did not finish" in (out / "report.md").read_text()
    with pytest.raises(UsageError, match=r"did not finish \(.*\); write into another folder, or replace it"):
        gate(MODEL, edited, out=out)
    gate(MODEL, edited, out=out, overwrite=True)
    assert not read_record(out / "run.json").is_unfinished
