"""The part of a gate that loads models: one after the other, each let go before the next."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from stability.data.edits import Edit
from stability.errors import MeasurementError, StabilityError
from stability.gate.examined import Examined
from stability.gate.levels import Level
from stability.metrics import Context, Skipped, edit_outcomes, metrics_of
from stability.models import (
    Snapshot,
    TokenizedText,
    describe_model,
    load_model,
    map_model,
)
from stability.record import Checkpoint, EditOutcome, Problem
from stability.run import Examination, Listener, measured_text
from stability.store import Store
from stability.suite import SuiteSpec


def examine(
    base: str, edited: str, suite: SuiteSpec, level: Level, edits: Sequence[Edit], listener: Listener
) -> Examined:
    """Measure the unedited model, let it go, then measure the edited one by all that was fitted on the first.

    Raises:
        MeasurementError: the unedited model cannot be loaded or measured. What fails on the edited one is in
            its checkpoint's errors.
    """
    if level is not Level.tasks:
        of_tasks = {name for name, metric in metrics_of(suite).items() if metric.head.over == "task"}
        kept = {name: check for name, check in suite.checks.items() if check.metric not in of_tasks}
        suite = suite.model_copy(update={"checks": kept})
    listener.stage("loading the base")
    loaded = load_model(suite.model.model_copy(update={"name": base}))
    info = describe_model(loaded)
    text = measured_text(suite.text, loaded.model, loaded.tokenizer)
    examination = Examination(loaded.model, loaded.tokenizer, suite, text, listener, store=Store())
    release(loaded.model)
    listener.stage("loading the edited model")
    outcomes: list[EditOutcome] = []
    try:
        model = load_model(suite.model.model_copy(update={"name": edited}), adapter_base=base).model
        listener.stage("measuring the edited model")
        outcomes = examination.outcomes(model, edits)
        checkpoint = examination.checkpoint(model, tuple(edits), tuple(outcomes), seed=0)
    except StabilityError as error:
        wanted = {*examination.base.readings, *examination.base.skipped, *examination.base.errors}
        checkpoint = Checkpoint(edits=len(edits), errors=dict.fromkeys(sorted(wanted), Problem.of(error)))
    return Examined(checkpoint, tuple(outcomes), examination.base, info, text.fingerprint, text.tokens)


def release(model: nn.Module) -> None:
    """Let go of a model's weights, and keep its modules, by which the edited model is mapped."""
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.new_empty(0)


def ask_edits(
    base: str, edited: str, suite: SuiteSpec, edits: Sequence[Edit], listener: Listener
) -> Examined:
    """Ask the edited model alone about its edits.

    Raises:
        ModelError: it cannot be loaded.
    """
    listener.stage("loading the edited model")
    loaded = load_model(suite.model.model_copy(update={"name": edited}), adapter_base=base)
    listener.stage("asking about the edits")
    readings, errors, skipped = {}, {}, {}
    metrics = {name: kind for name, kind in metrics_of(suite).items() if kind.head.about == "edits"}
    with torch.no_grad():
        try:
            outcomes = tuple(edit_outcomes(loaded.model, loaded.tokenizer, edits))
        except MeasurementError as error:
            failed = dict.fromkeys(metrics, Problem.of(error))
            return Examined(Checkpoint(edits=len(edits), errors=failed))
        context = Context(
            model=loaded.model,
            tokenizer=loaded.tokenizer,
            map=map_model(loaded.model),
            snapshot=Snapshot(nn.Module()),  # nothing that is asked of edits looks at the unedited model
            suite=suite,
            text=TokenizedText((), "", ()),
            edits=tuple(edits),
            outcomes=outcomes,
        )
        for name, metric in metrics.items():
            try:
                readings[name] = metric().measure(context)
            except Skipped as reason:
                skipped[name] = Problem.of(reason)
            except MeasurementError as error:
                errors[name] = Problem.of(error)
    checkpoint = Checkpoint(edits=len(edits), readings=readings, errors=errors, skipped=skipped)
    return Examined(checkpoint, outcomes)
