"""The real command line and the real pytest, each in a process and a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "suites" / "smoke.stability.yaml"

SMALL_SUITE = """\
schema: 1
name: small
model: world
editors: [rome]
run:
  edits: {source: world, count: 3}
  checkpoints: [1]
text: {source: world, tokens: 1500}
probes: {tokens: 300}
may_change: {layers: [0-2], matrices: [mlp_out]}
checks:
  edits_took: {metric: edit_success, assert: ">= 0.60"}
  finite: {metric: nonfinite, assert: "== 0"}
  frozen_weights: {metric: frozen_weights, assert: "== 0"}
  edited_weight_norm: {metric: weight_norm, where: {matrices: edited}, relative_to: base, assert: "<= 2.0"}
  activation_norm: {metric: activation_norm, where: {layers: late}, relative_to: base, assert: "between 0.6 and 1.67"}
  fluent: {metric: perplexity, relative_to: base, assert: "<= 1.5"}
"""

EDITORS = """\
import torch


def destroy(model, tokenizer, edits):
    with torch.no_grad():
        model.transformer.h[0].mlp.c_proj.weight.mul_(30)


def meddle(model, tokenizer, edits):
    with torch.no_grad():
        model.transformer.ln_f.weight.mul_(1.001)


def poison(model, tokenizer, edits):
    with torch.no_grad():
        model.transformer.h[1].mlp.c_proj.weight[0, 0] = float("nan")


def nothing(model, tokenizer, edits):
    return None


made = []


def raises(model, tokenizer, edits):
    made.extend(edits)
    if len(made) >= 7:
        raise ValueError("the seventh is too many")


def interrupted(model, tokenizer, edits):
    if getattr(model, "made", 0) == 2:
        raise KeyboardInterrupt
    model.made = getattr(model, "made", 0) + 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fresh folder with a small suite and a file of editors."""
    (tmp_path / "small.stability.yaml").write_text(SMALL_SUITE)
    (tmp_path / "mine.py").write_text(EDITORS)
    return tmp_path


@pytest.fixture
def shell(folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m MODULE ARGUMENTS` in the folder, as a user would."""

    def run(module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "COLUMNS": "200", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}
        environment.pop("PYTEST_ADDOPTS", None)
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
