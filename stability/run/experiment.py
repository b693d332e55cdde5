"""Running a suite: every editor at every seed, each from the unedited model, recorded as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from stability.data.edits import Edit, load_edits
from stability.editors import LoadedEditor, Store
from stability.errors import MeasurementError, StabilityError
from stability.metrics import refuse_too_long, refuse_unjudgeable
from stability.models import LoadedModel, describe_model
from stability.record import Checkpoint, EditOutcome, Problem, Record, Replaced, Run, write_record
from stability.run.costs import scalar, timed
from stability.run.editing import make_batch, prepare
from stability.run.examination import Examination, Reported
from stability.run.isolation import Structure
from stability.run.listener import Listener, Silent
from stability.run.text import measured_text
from stability.suite import SuiteFile

PACKAGES = ("torch", "transformers", "lm-eval", "numpy", "scikit-learn", "tokenizers")


@dataclass
class Experiment:
    """One suite on one model, under way. `record` grows; `path` receives it after every checkpoint.

    `keep_going` is asked after each checkpoint, with a record of that run alone, whether to make more edits.
    """

    suite: SuiteFile
    loaded: LoadedModel
    path: Path | None = None
    command: str = ""
    replaced: Replaced = field(default_factory=Replaced)
    listener: Listener = field(default_factory=Silent)
    keep_going: Callable[[Record], bool] = lambda record: True
    store: Store = field(default_factory=Store)

    def __post_init__(self) -> None:
        started = time.perf_counter()
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
        fresh.path = path
        changes = {"runs": (), "command": command, "replaced": replaced, "started": now()}
        fresh.record = self.record.model_copy(update=changes)
        return fresh

    def run(self, editor: LoadedEditor, seed: int) -> Run:
        """Edit the model from its unedited state on, and measure at every checkpoint.

        An editor that raises ends its run, not the experiment: the record says where and why, and holds what
        was measured before. The model is put back afterwards, bit for bit.
        """
        return SequentialRun(self, editor, seed).make()

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


class SequentialRun:
    """One editor at one seed: prepared on the unedited model, then editing and being measured in turn."""

    def __init__(self, experiment: Experiment, editor: LoadedEditor, seed: int) -> None:
        self._experiment = experiment
        self._editor = editor
        self._seed = seed
        self._edits = experiment.streams[seed]
        self._model: Any = experiment.loaded.model
        self._outcomes: list[EditOutcome] = []
        self._checkpoints: list[Checkpoint] = []
        self._timing = {"prepare": 0.0, "edit": 0.0, "measure": 0.0}
        self._run = Run(editor=editor.info, seed=seed, status="truncated")  # until it is known to be complete

    def make(self) -> Run:
        """Make all edits, or as many as can be made, and record them."""
        try:
            self._prepare()
            self._edit_and_measure()
        except StabilityError as error:
            self._fail(Problem.of(error))
        except KeyboardInterrupt:
            self._fail(Problem(kind="interrupted", message="interrupted"))
            raise
        finally:
            self._experiment.put_back()
        return self._run

    def _prepare(self) -> None:
        loaded, store = self._experiment.loaded, self._experiment.store
        self._experiment.listener.stage(f"{self._label}: preparing")
        with timed(self._timing, "prepare"):
            prepare(self._editor, loaded.model, loaded.tokenizer, store, self._seed)

    def _edit_and_measure(self) -> None:
        """Edit on, batch by batch, until the last edit, a checkpoint that ends the run, or an error."""
        spec = self._experiment.suite.spec.run
        schedule = spec.schedule()
        for first in range(0, len(self._edits), spec.edits.batch):
            batch = self._edits[first : first + spec.edits.batch]
            reported = self._edit(batch)
            error = self._ask(batch, reported)
            if error is None and self._done not in schedule:
                continue
            self._measure()
            if error is not None:
                raise error
            if self._done < len(self._edits) and not self._experiment.goes_on(self._run):
                return
        self._record(status="complete")

    def _edit(self, batch: Sequence[Edit]) -> list[dict[str, float]]:
        """Make a batch of edits; what the editor reports of each."""
        tokenizer = self._experiment.loaded.tokenizer
        with timed(self._timing, "edit"):
            self._model, reported = make_batch(
                self._editor, self._model, tokenizer, batch, self._done, self._seed
            )
        return reported

    def _ask(self, batch: Sequence[Edit], reported: Reported) -> MeasurementError | None:
        """Ask the model about the edits just made; the error, if it cannot be asked any more."""
        with timed(self._timing, "measure"):
            outcomes, error = self._experiment.examination.ask(self._model, batch, reported)
        self._outcomes += outcomes
        self._experiment.listener.edits(self._label, self._done, len(self._edits))
        return error

    def _measure(self) -> None:
        """Measure a checkpoint, and record it."""
        done = self._done
        self._experiment.listener.stage(f"{self._label}: measuring after {done} edits")
        with timed(self._timing, "measure"):
            checkpoint = self._experiment.examination.checkpoint(
                self._model, self._edits[:done], tuple(self._outcomes), self._seed
            )
        costs = {**checkpoint.costs, "edit_seconds": scalar(self._timing["edit"] / done, "s")}
        self._checkpoints.append(checkpoint.model_copy(update={"costs": costs}))
        self._record()

    def _fail(self, error: Problem) -> None:
        self._record(status="failed", error=error, failed_at=self._done)

    def _record(self, **changes: Any) -> None:
        """Put the run into the experiment's record as it is now."""
        now = {
            "edits": tuple(self._outcomes),
            "checkpoints": tuple(self._checkpoints),
            "timing": dict(self._timing),
        }
        self._run = self._run.model_copy(update={**now, **changes})
        self._experiment.keep(self._run)

    @property
    def _done(self) -> int:
        """The number of edits that were made and asked about."""
        return len(self._outcomes)

    @property
    def _label(self) -> str:
        return f"{self._editor.info.name} · seed {self._seed}"


def run_suite(experiment: Experiment, editors: Sequence[LoadedEditor]) -> Record:
    """Run every editor at every seed; the record holds them in that order."""
    experiment.record = experiment.record.model_copy(update={"under_way": True})
    for editor in editors:
        for seed in experiment.suite.spec.run.seeds:
            experiment.run(editor, seed)
    experiment.finish()
    return experiment.record


def now() -> str:
    """The time in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
