"""Runs in processes of their own: whatever an editor does, and however it ends, ends with its run."""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from stability.editors import wrap_editor
from stability.models import load_model
from stability.record import Record, read_record
from stability.run import Experiment
from stability.run.listener import Silent
from stability.run.process.budget import resident
from stability.suite import LimitsSpec, ModelSpec, parse_suite

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")

SUITE = parse_suite(
    """
schema: 1
name: isolated
run: {edits: {source: world, count: 3}, checkpoints: [1]}
text: {source: world, tokens: 400}
probes: {tokens: 100}
checks: {norm: {metric: weight_norm, relative_to: base, assert: "<= 2"}}
"""
)


@pytest.fixture(scope="module")
def measured():
    return Experiment(SUITE, load_model(ModelSpec()), isolation="process")


@pytest.fixture
def experiment(measured, tmp_path):
    return measured.again(tmp_path / "run.json", "", measured.replaced)


def grow(model, tokenizer, edits):
    with torch.no_grad():
        model.transformer.h[0].mlp.c_proj.weight.mul_(1.01)


class Third:
    """Edits, and does something at the third edit."""

    def __init__(self, what=lambda: None):
        self._what = what
        self._made = 0

    def edit(self, model, tokenizer, edits):
        grow(model, tokenizer, edits)
        self._made += len(edits)
        if self._made == 3:
            self._what()


def run(experiment, what=lambda: None):
    return experiment.run(wrap_editor(Third(what)), 0)


def with_limits(experiment, **limits):
    spec = experiment.suite.spec
    limited = spec.run.model_copy(update={"limits": LimitsSpec(**limits)})
    experiment.suite = replace(experiment.suite, spec=spec.model_copy(update={"run": limited}))
    return experiment


def content(run):
    """A run without its times, and without where it was made."""
    checkpoints = tuple(one.model_copy(update={"costs": {}}) for one in run.checkpoints)
    changes = {"timing": {}, "isolation": None, "editor": None, "checkpoints": checkpoints}
    return run.model_copy(update=changes)


@pytest.fixture(scope="module")
def clean(measured):
    """The run of an editor that does nothing besides, in this process and before any other."""
    here = measured.again(None, "", measured.replaced)
    here.isolation = "none"
    return content(run(here))


def raise_(error):
    raise error


def forget_classes():
    nn.Linear.forward = lambda self, x: x * 0
    nn.LayerNorm.forward = nn.Identity.forward


def leave_threads():
    threading.Thread(target=time.sleep, args=(1000,)).start()


def spoil_the_kept_copy():
    import gc

    for kept in gc.get_objects():
        if type(kept) is nn.Parameter:
            kept.data.zero_()


ENDS = {
    "sys.exit": (lambda: sys.exit(0), "editor_raised", "SystemExit: 0"),
    "GeneratorExit": (lambda: raise_(GeneratorExit), "editor_raised", "GeneratorExit"),
    "KeyboardInterrupt": (lambda: raise_(KeyboardInterrupt), "process_ended", "KeyboardInterrupt"),
    "os._exit": (lambda: os._exit(0), "process_ended", "exited with status 0 before the run was done"),
    "SIGKILL": (lambda: os.kill(os.getpid(), signal.SIGKILL), "process_ended", "ended by SIGKILL"),
    "segfault": (lambda: ctypes.string_at(0), "process_ended", "ended by SIGSEGV"),
    "words": (lambda: say(b"nonsense"), "process_ended", "something that the harness does not say"),
    "nesting": (lambda: say(b'{"progress":' * 5_000), "process_ended", "something that the harness"),
    "done": (
        lambda: say(b'{"progress": {"status": "complete"}}'),
        "process_ended",
        "something that the harness does not say",
    ),
    "measured": (
        lambda: say(b'{"progress": {"checkpoint": {"edits": 3}}}'),
        "process_ended",
        "something that the harness does not say",
    ),
    "more": (
        lambda: say(b'{"progress": {"outcomes": [%s]}}' % b",".join([OUTCOME] * 9)),
        "process_ended",
        "something that the harness does not say",
    ),
    "back": (
        lambda: say(b'{"progress": {"goes_on_from": 7}}'),
        "process_ended",
        "something that the harness",
    ),
}
OUTCOME = b'{"id": "a", "prompt": "b", "subject": "c", "target": "d", "success": true}'


def say(words):
    """Say something on the channel, and then no more."""
    for number in range(3, 60):
        if is_socket(number):
            with suppress(OSError):  # a door of the tests' own, which takes no words
                os.write(number, words + b"\n")
    time.sleep(1000)


def is_socket(number):
    try:
        return str(Path(f"/proc/self/fd/{number}").readlink()).startswith("socket:")
    except OSError:
        return False


@pytest.mark.parametrize("end", ENDS)
def test_however_an_editor_ends_its_run_has_failed_with_what_was_measured_as_after_no_other(
    experiment, clean, end
):
    what, kind, words = ENDS[end]
    failed = run(experiment, what)
    assert (failed.status, failed.failed_at, failed.error.kind) == ("failed", 2, kind)
    assert words in failed.error.message
    assert [checkpoint.edits for checkpoint in failed.checkpoints] == [1]
    assert content(failed).checkpoints == clean.checkpoints[:1]
    assert read_record(experiment.path).runs[-1].error == failed.error


@pytest.mark.parametrize(
    "what",
    [
        forget_classes,
        leave_threads,
        lambda: os.chdir("/"),
        lambda: torch.set_default_dtype(torch.float64),
        lambda: os.environ.clear(),
        lambda: torch.use_deterministic_algorithms(True),
        spoil_the_kept_copy,
        lambda: subprocess.Popen(["sleep", "1000"]),
    ],
    ids=["classes", "threads", "chdir", "dtype", "environ", "determinism", "kept-copy", "subprocess"],
)
def test_what_an_editor_does_besides_ends_with_its_run(experiment, clean, monkeypatch, what):
    monkeypatch.chdir(experiment.path.parent)
    before = (Path.cwd(), dict(os.environ), torch.get_default_dtype(), nn.Linear.forward)
    found = run(experiment, what)
    assert (found.isolation, content(found).checkpoints[:1]) == ("process", clean.checkpoints[:1])
    assert (Path.cwd(), dict(os.environ), torch.get_default_dtype(), nn.Linear.forward) == before


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        ({"edit_seconds": 0.5}, lambda: time.sleep(1000)),
        ({"memory": "more than it has"}, lambda: (torch.ones(300_000_000), time.sleep(1000))),
    ],
    ids=["edit_seconds", "memory"],
)
def test_a_run_past_its_budget_is_ended_with_what_was_measured(experiment, limits, what):
    if "memory" in limits:
        limits = {"memory": f"{resident(os.getpid()) // 10**6 + 600} MB"}
    ended = run(with_limits(experiment, **limits), what)
    [name] = limits
    assert (ended.status, ended.failed_at, ended.error.kind) == ("failed", 2, "over_budget")
    assert ended.error.message.startswith(f"over its budget at edit 3: run.limits.{name}=")
    assert [checkpoint.edits for checkpoint in ended.checkpoints] == [1]


def test_a_run_has_a_budget_for_all_of_it(experiment):
    ended = run(with_limits(experiment, total_seconds=0.01), lambda: time.sleep(1000))
    assert (ended.status, ended.error.kind, ended.error.expected) == (
        "failed",
        "over_budget",
        "total_seconds=0.01",
    )


@pytest.fixture
def interruptible():
    """Ctrl-C is heard, though the tests may run in the background, where a shell has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interruption_ends_the_run_and_keeps_what_was_measured(experiment, interruptible):
    parent = os.getpid()

    def interrupt():
        os.kill(parent, signal.SIGINT)
        time.sleep(1000)

    with pytest.raises(KeyboardInterrupt):
        run(experiment, interrupt)
    kept = read_record(experiment.path).runs[-1]
    assert (kept.error.kind, kept.failed_at, len(kept.checkpoints)) == ("interrupted", 2, 1)


def test_whether_a_run_goes_on_is_decided_outside_of_it(experiment):
    asked = []

    def stop(record: Record) -> bool:
        asked.append(len(record.runs[-1].checkpoints))
        return False

    experiment.keep_going = stop
    stopped = run(experiment)
    assert (stopped.status, len(stopped.edits), asked) == ("truncated", 1, [1])


def test_progress_and_logs_of_a_run_arrive(experiment, caplog, capsys):
    told = []

    class Listening(Silent):
        def stage(self, text):
            told.append(text)

        def edits(self, label, done, total):
            told.append((done, total))

    experiment.listener = Listening()
    log = logging.getLogger("an.editor")
    run(
        experiment,
        lambda: (
            log.warning("only %s left", 1),
            log.warning("%d", "not a number"),
            sys.stdout.write("by the way\n"),
        ),
    )
    assert [one for one in told if not isinstance(one, str)] == [(1, 3), (2, 3), (3, 3)]
    assert any(isinstance(one, str) and one.endswith("measuring after 1 edits") for one in told)
    assert ("an.editor", logging.WARNING, "only 1 left") in caplog.record_tuples
    assert any(
        text.startswith("a message that cannot be formatted: TypeError") for *_, text in caplog.record_tuples
    )
    assert capsys.readouterr() == ("by the way\n", "")


def test_a_run_after_all_these_is_the_one_that_was_made_here_before_them(experiment, clean):
    isolated = run(experiment)
    assert isolated.isolation == "process"
    assert content(isolated) == clean
    assert content(read_record(experiment.path).runs[0]).checkpoints == clean.checkpoints
