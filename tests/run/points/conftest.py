"""Runs of a small suite, cut off at any step and gone on with in the folder that they left."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stability.editors import LoadedEditor, Store
from stability.models import load_model
from stability.record import Record, read_record
from stability.run import Experiment, run_suite
from stability.suite import ModelSpec, parse_suite
from tests.cut_off import CutOff, CutOffError

SUITE = parse_suite(
    """
schema: 1
name: going-on
run: {edits: {source: world, count: 4}, checkpoints: [2], resume: {every: 1 edit}}
text: {source: world, tokens: 150}
checks:
  norm: {metric: delta_norm, assert: "<= 2"}
  kept: {metric: retention, assert: ">= 0"}
  structure: {metric: structure_differences, assert: "<= 99"}
"""
)


@pytest.fixture(scope="module")
def experiment(shared_store: Store) -> Experiment:
    return Experiment(SUITE, load_model(ModelSpec()), store=shared_store)


@pytest.fixture
def make(experiment: Experiment, tmp_path: Path) -> Callable[..., tuple[Record, int]]:
    """Makes a run in a folder, up to a step of it or to its end, going on with what is there.

    Returns the record, and how many steps there were. `run` are changes to the suite's `run`.
    """

    def made(
        editor: LoadedEditor, name: str = "run", cut: int | None = None, **run: Any
    ) -> tuple[Record, int]:
        path = tmp_path / name / "run.json"
        path.parent.mkdir(exist_ok=True)
        earlier = read_record(path) if path.exists() else None
        fresh = experiment.again(path, "", experiment.replaced, earlier)
        spec = fresh.suite.spec
        changed = spec.model_copy(update={"run": spec.run.model_copy(update=run)})
        fresh.suite = replace(fresh.suite, spec=changed)
        fresh.listener = listener = CutOff(cut)
        with suppress(CutOffError):
            run_suite(fresh, [editor])
        return fresh.record, listener.steps

    return made


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """What the harness has logged."""
    caplog.set_level(logging.WARNING)
    return lambda: [one.getMessage() for one in caplog.records if one.name.startswith("stability")]
