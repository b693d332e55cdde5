"""The real command line and the real pytest, each in a process and a folder of its own."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stability.editors import Store
from tests.processes import run_module

RunIn = Callable[..., subprocess.CompletedProcess[str]]
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
text: {source: world, tokens: 600}
probes: {tokens: 200}
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
import os
import signal
import time

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
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
    model.made = getattr(model, "made", 0) + 1


def terminated(model, tokenizer, edits):
    os.kill(os.getppid(), signal.SIGTERM)
    time.sleep(60)


def gone(model, tokenizer, edits):
    if getattr(model, "made", 0) == 2:
        os._exit(0)
    model.made = getattr(model, "made", 0) + 1
"""


@pytest.fixture(scope="session")
def prepared() -> Callable[[Path], Path]:
    """Puts the small suite and the file of editors into a folder."""
    return prepare


def prepare(folder: Path) -> Path:
    """The folder, with a small suite and a file of editors."""
    (folder / "small.stability.yaml").write_text(SMALL_SUITE)
    (folder / "mine.py").write_text(EDITORS)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A fresh folder with a small suite and a file of editors."""
    return prepare(tmp_path)


def environment(store: Store) -> dict[str, str]:
    """The environment of a command: nothing of this run of pytest, and a cache that the tests share."""
    own = {"COLUMNS": "200", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", "STABILITY_CACHE": str(store.folder)}
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_") or name == "PYTEST_ADDOPTS"
    } | own


@pytest.fixture(scope="session")
def run_in(shared_store: Store) -> RunIn:
    """Runs `python -m MODULE ARGUMENTS` in a folder; `tests.processes` says how."""

    def run(folder: Path, module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return run_module([module, *map(str, arguments)], folder, environment(shared_store))

    return run


@pytest.fixture(scope="session")
def start_in(shared_store: Store) -> RunIn:
    """As `run_in`, by an interpreter that has imported nothing yet: as a user does, and slow."""

    def start(folder: Path, module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=folder,
            env=environment(shared_store),
            capture_output=True,
            text=True,
            timeout=300,
        )

    return start


@pytest.fixture
def shell(folder: Path, run_in: RunIn) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `python -m MODULE ARGUMENTS` in the test's folder."""
    return functools.partial(run_in, folder)
