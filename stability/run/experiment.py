"""Running a suite: every editor at every seed, each from the unedited model, recorded as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from stability.data.edits import load_edits
from stability.editors import LoadedEditor, Store
from stability.metrics import refuse_too_long, refuse_unjudgeable
from stability.models import LoadedModel, describe_model, model_fingerprint, tokenizer_fingerprint
from stability.record import Problem, Record, Replaced, Run, write_record
from stability.record.schema import Isolation
from stability.run.examination import Examination
from stability.run.isolation import Structure
from stability.run.listener import Listener, Silent
from stability.run.process.isolated import can_be_isolated, run_isolated
from stability.run.recording import Recording
from stability.run.sequential import SequentialRun
from stability.run.surroundings import flags_kept, read_flags
from stability.run.text import measured_text
from stability.suite import SuiteFile

PACKAGES = ("torch", "transformers", "lm-eval", "numpy", "scikit-learn", "tokenizers")


@dataclass(frozen=True)
class Left:
    """What is not as it was after a run in this process, and by whom."""

    by: str
    flags: tuple[str, ...]


@dataclass
class Experiment:
    """One suite on one model, under way. `record` grows; `path` receives it after every checkpoint.

    `keep_going` is asked after each checkpoint, with a record of that run alone, whether to make more edits.
    `isolation` says where runs are made, in processes of their own or in this one; see `run`.
    """

    suite: SuiteFile
    loaded: LoadedModel
    path: Path | None = None
    command: str = ""
    replaced: Replaced = field(default_factory=Replaced)
    listener: Listener = field(default_factory=Silent)
    keep_going: Callable[[Record], bool] = lambda record: True
    store: Store = field(default_factory=Store)
    isolation: Isolation = "none"
    _left: Left | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        started = time.perf_counter()
        self.path = _fixed(self.path)
        refuse_unjudgeable(self.suite, is_run=True)
        spec = self.suite.spec
        model = self.loaded.model
        self.streams = {seed: load_edits(spec.run.edits, seed) for seed in spec.run.seeds}
        for edits in self.streams.values():
            refuse_too_long(model, self.loaded.tokenizer, edits)
        self.structure = Structure(model)
        self.text = measured_text(spec.text, model, self.loaded.tokenizer)
        self.listener.stage("unedited model")
        self.examination = Examination(model, self.loaded.tokenizer, spec, self.text, self.listener)
        self.record = Record(
            harness_version=metadata.version("stability-harness"),
            suite_name=spec.name,
            suite_text=self.suite.text,
            suite_path=None if self.suite.path is None else str(self.suite.path),
            measured_fingerprint=self.suite.measured_fingerprint,
            measured=self.suite.measured,
            inputs_fingerprint=self.suite.inputs_fingerprint,
            command=self.command,
            replaced=self.replaced,
            model=describe_model(self.loaded),
            edits_source=spec.run.edits.path or spec.run.edits.source,
            text_fingerprint=self.text.fingerprint,
            text_tokens=self.text.tokens,
            base=self.examination.base,
            versions={name: metadata.version(name) for name in PACKAGES},
            started=now(),
        )
        self._spent(started, "unedited model")

    def again(self, path: Path | None, command: str, replaced: Replaced) -> Experiment:
        """The same, base measurements included, with a record of its own that holds no run yet."""
        fresh = copy(self)
        fresh.path = _fixed(path)
        changes = {"runs": (), "command": command, "replaced": replaced, "started": now()}
        fresh.record = self.record.model_copy(update=changes)
        return fresh

    def run(self, editor: LoadedEditor, seed: int) -> Run:
        """Edit the model from its unedited state on, and measure at every checkpoint.

        An editor that raises ends its run, not the experiment: the record says where and why, and holds what
        was measured before. With `isolation: process` so does whatever ends the run's process, and nothing
        else that the editor does is left. Without, or where a process cannot be forked, model and flags are
        put back, and where that does not succeed the next run fails.
        """
        isolated = self.isolation == "process" and can_be_isolated(self)
        recording = Recording(self, editor, seed, "process" if isolated else "none")
        if problem := self._spoiled():
            recording.failed(problem)
        elif isolated:
            run_isolated(self, editor, seed, recording)
        else:
            self._run_here(editor, seed, recording)
        return recording.run

    def _run_here(self, editor: LoadedEditor, seed: int, recording: Recording) -> None:
        before = read_flags()
        try:
            with flags_kept():
                SequentialRun(self, editor, seed, recording).make()
        except KeyboardInterrupt:
            recording.failed(Problem(kind="interrupted", message="interrupted"))
            raise
        finally:
            self.put_back()
            changed = [name for name, value in read_flags().items() if value != before[name]]
            self._left = Left(f"{editor.info.name} at seed {seed}", tuple(changed))

    def _spoiled(self) -> Problem | None:
        """What a run in this process has left that is not as it was; None if nothing is."""
        if self._left is None:
            return None
        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        changed = list(self._left.flags)
        if model_fingerprint(model) != self.record.model.fingerprint:
            changed.append("the model's weights")
        if tokenizer_fingerprint(tokenizer) != self.record.model.tokenizer_fingerprint:
            changed.append("the tokenizer")
        if not changed:
            return None
        words = f"not started: {self._left.by} has changed {', '.join(changed)}, and that cannot be put back"
        return Problem(kind="model_unusable", message=words)

    def put_back(self) -> None:
        """Make the model the unedited one again, in structure and in values."""
        self.structure.restore()
        self.examination.snapshot.restore(self.loaded.model)

    def keep(self, run: Run) -> None:
        """Put a run into the record, in place of its earlier state, and the record on the disk."""
        others = [kept for kept in self.record.runs if (kept.editor, kept.seed) != (run.editor, run.seed)]
        self.record = self.record.model_copy(update={"runs": (*others, run)})
        self._write()

    def goes_on(self, run: Run) -> bool:
        """Whether more edits are to be made; what another run has failed does not end this one."""
        return self.keep_going(self.record.model_copy(update={"runs": (run,)}))

    def finish(self) -> None:
        """Mark the record as finished, on the disk as well."""
        self.record = self.record.model_copy(update={"under_way": False})
        self._write()

    def _write(self) -> None:
        if self.path is not None:
            write_record(self.record, self.path)

    def _spent(self, started: float, stage: str) -> None:
        timing = {**self.record.timing, stage: time.perf_counter() - started}
        self.record = self.record.model_copy(update={"timing": timing})


def run_suite(experiment: Experiment, editors: Sequence[LoadedEditor]) -> Record:
    """Run every editor at every seed; the record holds them in that order."""
    experiment.record = experiment.record.model_copy(update={"under_way": True})
    for editor in editors:
        for seed in experiment.suite.spec.run.seeds:
            experiment.run(editor, seed)
    experiment.finish()
    return experiment.record


def _fixed(path: Path | None) -> Path | None:
    """The same place, wherever an editor changes to."""
    return None if path is None else path.absolute()


def now() -> str:
    """The time in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
