"""A run in a process of its own. The record, the clock and the decision to go on stay in this one."""

from __future__ import annotations

import logging
import signal
import sys
import time
from typing import TYPE_CHECKING

import torch
from pydantic import ValidationError

from stability.editors import LoadedEditor
from stability.errors import with_traceback, with_type
from stability.record import Problem
from stability.run.process.begin import Channel
from stability.run.process.budget import Budget
from stability.run.process.child import LAST_WORDS, Child
from stability.run.process.telling import NO, YES, Telling, Told
from stability.run.recording import Recording
from stability.run.sequential import SequentialRun

if TYPE_CHECKING:
    from stability.run.experiment import Experiment


def can_be_isolated(experiment: Experiment) -> bool:
    """Whether the experiment's model can be used in a process that is forked: on Linux, on the CPU."""
    if sys.platform != "linux" or torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return False
    return all(parameter.device.type == "cpu" for parameter in experiment.loaded.model.parameters())


def run_isolated(experiment: Experiment, editor: LoadedEditor, seed: int, recording: Recording) -> None:
    """Make a run in a child process; whatever ends that ends the run, and nothing else.

    Raises:
        MeasurementError: there is no room for another process.
    """

    def work(channel: Channel) -> None:
        telling = Telling(channel)
        telling.take_logs()
        experiment.listener = telling  # the experiment is this process's own copy
        try:
            SequentialRun(experiment, editor, seed, telling, recording.points, recording.earlier).make()
        except Exception as error:
            telling.tell(Told(raised=with_traceback(error)))
        except BaseException as error:  # an editor's
            telling.tell(Told(raised=with_type(error)))

    spent = 0.0 if recording.earlier is None else sum(recording.earlier.timing.values())
    budget = Budget(experiment.suite.spec.run.limits, spent)
    until = float("inf")
    with Child(work) as child:
        try:
            for line in child.lines():
                if line is not None and not recording.has_ended:
                    _take(line, experiment, recording, budget, child)
                if error := budget.exceeded(child.pid, made=len(recording.run.edits)):
                    recording.failed(error)
                    child.kill()
                if recording.has_ended:
                    until = min(until, time.monotonic() + LAST_WORDS)
                if time.monotonic() > until:
                    child.kill()
        except KeyboardInterrupt:
            recording.failed(Problem(kind="interrupted", message="interrupted"))
            raise
    recording.failed(Problem(kind="process_ended", message=how_it_ended(child.status)))


def _take(line: bytes, experiment: Experiment, recording: Recording, budget: Budget, child: Child) -> None:
    """Do what a line says."""
    told = _understood(line, len(experiment.streams[recording.run.seed]), recording)
    if told is None:
        message = "the run's process sent something that the harness does not say"
        recording.failed(Problem(kind="process_ended", message=message))
        child.kill()
        return
    if told.progress is not None:
        recording.add(told.progress)
        budget.edited()
    if told.editing is not None:
        budget.editing(told.editing)
    if told.asks:
        child.answer(YES if recording.goes_on() else NO)
    if told.stage is not None:
        experiment.listener.stage(told.stage)
    if told.edits is not None:
        experiment.listener.edits(*told.edits)
    if told.log is not None:
        name, level, text = told.log
        logging.getLogger(name).log(level, "%s", text)
    if told.raised is not None:
        recording.failed(Problem(kind="process_ended", message=told.raised))


def _understood(line: bytes, asked: int, recording: Recording) -> Told | None:
    """What a line says; None if it is none of ours, or does not follow on what was said before."""
    try:
        told = Told.model_validate_json(line)
    except ValidationError:
        return None
    new = told.progress
    if new is None:
        return told
    before = len(recording.run.edits)
    made = (before if new.goes_on_from is None else new.goes_on_from) + len(new.outcomes)
    follows = (
        made <= asked
        and (new.goes_on_from is None or 0 <= new.goes_on_from <= before)
        and (new.checkpoint is None or new.checkpoint.edits == made)
        and (new.status != "complete" or made == asked)
    )
    return told if follows else None


def how_it_ended(status: int | None) -> str:
    """How the process of a run ended before the run did, in words."""
    if status is None or status >= 0:
        return f"the run's process exited with status {status} before the run was done"
    known = {number.value: number.name for number in signal.Signals}
    return f"the run's process was ended by {known.get(-status, f'signal {-status}')}"
