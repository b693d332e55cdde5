"""`stability horizon` and `stability run --bisect`, as a person calls them."""

import json
import shlex

import pytest
from typer.testing import CliRunner

from stability.cli import app

SUITE = """
schema: 1
name: near
editors: [{ft: {num_steps: 4}}]
run: {edits: {source: world, count: 8}, checkpoints: [4], seeds: [0, 1]}
text: {source: world, tokens: 100}
probes: {tokens: 60}
checks:
  norm: {metric: delta_norm, where: {matrices: edited}, assert: "<= 0.12"}
"""


@pytest.fixture
def suite(tmp_path):
    path = tmp_path / "near.stability.yaml"
    path.write_text(SUITE)
    return path


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_horizon_is_printed_and_written(suite, tmp_path):
    result = call("horizon", suite, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "out" / "horizon.json").read_text())
    editor = written["editors"][0]
    assert 0 < editor["worst"] <= editor["median"] < 8
    for seed in editor["seeds"]:
        line = next(line for line in result.stdout.splitlines() if f"seed {seed['seed']}" in line)
        assert line.split()[2] == str(seed["edits"])
        assert f"N/d_k {seed['edits'] / 1024:.3g}" in line
        assert f"failed at {seed['edits'] + 1}: norm: " in line
    assert f"bisected: {sum(seed['measurements'] for seed in editor['seeds'])} measurements" in result.stdout
    assert result.stdout.rstrip().endswith("horizon.json")


def test_as_json_nothing_else_is_printed(suite, tmp_path):
    result = call("horizon", suite, "--out", tmp_path, "--seed", 1, "--edits", 4, "--every", "--json")
    content = json.loads(result.stdout)
    assert content == json.loads((tmp_path / "horizon.json").read_text())
    assert content["every"] is True
    assert content["asked"] == 4
    assert [seed["seed"] for seed in content["editors"][0]["seeds"]] == [1]


def test_a_run_with_bisect_says_both(suite, tmp_path):
    result = call("run", suite, "--out", tmp_path, "--seed", 0, "--bisect")
    assert result.exit_code == 1
    assert "FAIL" in result.stdout
    record = json.loads((tmp_path / "run.json").read_text())
    horizon = json.loads((tmp_path / "horizon.json").read_text())["editors"][0]
    assert [point["edits"] for point in record["runs"][0]["checkpoints"]] == [4, 8]
    assert f"failed at {horizon['worst'] + 1}" in result.stdout


def test_what_cannot_be_measured_is_status_three(suite, tmp_path):
    path = tmp_path / "raises.py"
    path.write_text("def edit(model, tokenizer, edits):\n    raise ValueError('no')\n")
    result = call("horizon", suite, "--editor", f"{path}:edit", "--seed", 0, "--out", tmp_path)
    assert result.exit_code == 3
    assert "failed at 1: " in result.stdout
    assert "ValueError: no" in " ".join(result.stdout.split())


STOPPED = """
import os
import pathlib
import signal

import torch


def stopped(model, tokenizer, edits):
    model.made = getattr(model, "made", 0) + 1
    with torch.no_grad():
        model.transformer.h[0].mlp.c_proj.weight.add_(1e-4)
    if model.made == 3 and not pathlib.Path("stopped").exists():
        pathlib.Path("stopped").touch()
        os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_search_that_is_told_to_end_says_how_it_is_gone_on_with(shell, folder, suite):
    (folder / "stopped.py").write_text(STOPPED)
    words = [
        "stability",
        "horizon",
        suite,
        "--editor",
        "./stopped.py:stopped",
        "--seed",
        0,
        "--edits",
        4,
        "--out",
        "out",
    ]
    done = shell(*words, "--every", "--overwrite")
    assert done.returncode == 143
    what, how = done.stderr.rstrip().split("; go on with: ")
    assert what == "terminated; what was measured is in out/points/horizon"
    assert how == " ".join(map(str, [*words, "--every", "--resume"]))
    done = shell(*map(str, shlex.split(how)))
    assert done.returncode == 0, done.stderr
    found = json.loads((folder / "out" / "horizon.json").read_text())["editors"][0]["seeds"][0]
    assert found["measurements"] == 4  # none of them twice
