"""Running a suite: every editor at every seed, each from the unedited model, recorded as it goes."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from torch import nn

from stability.data.documents import load_documents
from stability.data.edits import Edit, load_edits
from stability.editors import LoadedEditor, Store
from stability.errors import EditorError, MeasurementError, StabilityError, with_type
from stability.models import LoadedModel, context_length, describe_model, language_model, tokenize_text
from stability.models.modes import random_state
from stability.models.tokens import Tokenizer
from stability.record import Checkpoint, EditOutcome, Record, Run, write_record
from stability.run.examination import Examination, scalar
from stability.run.isolation import Structure
from stability.run.listener import Listener, Silent
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
    listener: Listener = field(default_factory=Silent)
    keep_going: Callable[[Record], bool] = lambda record: True
    store: Store = field(default_factory=Store)

    def __post_init__(self) -> None:
        started = time.perf_counter()
        spec = self.suite.spec
        model = self.loaded.model
        self.streams = {seed: load_edits(spec.run.edits, seed) for seed in spec.run.seeds}
        self.structure = Structure(model)
        self.text = tokenize_text(
            self.loaded.tokenizer,
            load_documents(spec.text.source, spec.text.path),
            tokens=spec.text.tokens,
            max_length=context_length(model),
        )
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
            model=describe_model(self.loaded),
            edits_source=spec.run.edits.path or spec.run.edits.source,
            text_fingerprint=self.text.fingerprint,
            text_tokens=self.text.tokens,
            base=self.examination.base,
            versions={name: metadata.version(name) for name in PACKAGES},
            started=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        self._spent(started, "unedited model")

    def again(self, path: Path | None, command: str) -> Experiment:
        """The same, base measurements included, with a record of its own that holds no run yet."""
        fresh = copy(self)
        fresh.path = path
        fresh.record = self.record.model_copy(update={"runs": (), "command": command})
        return fresh

    def run(self, editor: LoadedEditor, seed: int) -> Run:
        """Edit the model from its unedited state on, and measure at every checkpoint.

        An editor that raises ends its run, not the experiment: the record says where and why, and holds what
        was measured before. The model is put back afterwards, bit for bit.
        """
        label = f"{editor.info.name} · seed {seed}"
        self.listener.stage(f"{label}: preparing")
        run = Run(editor=editor.info, seed=seed, status="truncated")  # until it is known to be complete
        timing: dict[str, float] = {"prepare": 0.0, "edit": 0.0, "measure": 0.0}
        model: nn.Module = self.loaded.model
        edits = self.streams[seed]
        spec = self.suite.spec.run
        outcomes: list[EditOutcome] = []
        checkpoints: list[Checkpoint] = []

        def update(**changes: Any) -> None:
            nonlocal run
            run = run.model_copy(
                update={
                    "edits": tuple(outcomes),
                    "checkpoints": tuple(checkpoints),
                    "timing": dict(timing),
                    **changes,
                }
            )
            self._keep(run)

        try:
            with timed(timing, "prepare"):
                prepare(editor, model, self.loaded.tokenizer, self.store, seed)
            schedule = spec.schedule()
            for first in range(0, len(edits), spec.edits.batch):
                batch = edits[first : first + spec.edits.batch]
                with timed(timing, "edit"):
                    model, reported = make_batch(editor, model, self.loaded.tokenizer, batch, first, seed)
                done = first + len(batch)
                broken = None
                with timed(timing, "measure"):
                    try:
                        measured = self.examination.outcomes(model, batch)
                    except MeasurementError as error:  # the model gives NaN: measure what is left, and end
                        measured = [unmeasured(edit) for edit in batch]
                        broken = error
                outcomes += [
                    outcome.model_copy(update={"reported": figures})
                    for outcome, figures in zip(measured, reported, strict=True)
                ]
                self.listener.edits(label, done, len(edits))
                if done not in schedule and broken is None:
                    continue
                self.listener.stage(f"{label}: measuring after {done} edits")
                with timed(timing, "measure"):
                    checkpoint = self.examination.checkpoint(model, edits[:done], tuple(outcomes), seed)
                costs = {**checkpoint.costs, "edit_seconds": scalar(timing["edit"] / done, "s")}
                checkpoints.append(checkpoint.model_copy(update={"costs": costs}))
                update()
                if broken is not None:
                    raise broken
                if done < len(edits) and not self.keep_going(self._alone(run)):
                    break
            else:
                update(status="complete")
        except StabilityError as error:
            update(status="failed", error=str(error), failed_at=len(outcomes))
        except KeyboardInterrupt:
            update(status="failed", error="interrupted", failed_at=len(outcomes))
            raise
        finally:
            self.structure.restore()
            self.examination.snapshot.restore(self.loaded.model)
        return run

    def _alone(self, run: Run) -> Record:
        """The record as if this were its only run: what another run has failed does not end this one."""
        return self.record.model_copy(update={"runs": (run,)})

    def _keep(self, run: Run) -> None:
        """Put the run into the record, in place of its earlier state, and the record on the disk."""
        others = [kept for kept in self.record.runs if (kept.editor, kept.seed) != (run.editor, run.seed)]
        self.record = self.record.model_copy(update={"runs": (*others, run)})
        if self.path is not None:
            write_record(self.record, self.path)

    def _spent(self, started: float, stage: str) -> None:
        timing = {**self.record.timing, stage: time.perf_counter() - started}
        self.record = self.record.model_copy(update={"timing": timing})


def prepare(editor: LoadedEditor, model: nn.Module, tokenizer: Tokenizer, store: Store, seed: int) -> None:
    """Prepare an editor on the unedited model with a seed's random numbers; `EditorError` if it fails."""
    with random_state(seed):
        call(editor.prepare, model, tokenizer, store, doing=f"{editor.info.name}: preparing")


def make_batch(
    editor: LoadedEditor, model: Any, tokenizer: Tokenizer, batch: Sequence[Edit], first: int, seed: int
) -> tuple[Any, list[dict[str, float]]]:
    """Make a batch of edits after `first` others: what became of the model, and what is reported of each.

    The random numbers are those of the seed and of `first`, whatever was drawn before.

    Raises:
        EditorError: the editor raised, or returned something else than a model.
    """
    name = editor.info.name
    number = f"edit {first + 1}" if len(batch) == 1 else f"edits {first + 1}-{first + len(batch)}"
    with random_state(seed * 1_000_003 + first):
        edited = call(editor.edit, model, tokenizer, batch, doing=f"{name}: {number} ({batch[0].id})")
        if not isinstance(edited, nn.Module) and language_model(edited) is None:
            raise EditorError(
                f"{name}: {number}: returned a {type(edited).__name__}; "
                "an editor returns the edited model, or None when it edits in place"
            )
        return edited, call(editor.report, len(batch), doing=f"{name}: reporting")


@contextmanager
def timed(table: dict[str, float], stage: str) -> Iterator[None]:
    """Add the seconds spent inside to one entry of a table."""
    started = time.perf_counter()
    try:
        yield
    finally:
        table[stage] += time.perf_counter() - started


def call(function: Callable[..., Any], *arguments: Any, doing: str) -> Any:
    """Call an editor's code; whatever it raises becomes an `EditorError` that says where."""
    try:
        return function(*arguments)
    except StabilityError:
        raise
    except Exception as error:  # an editor is a stranger's code: anything may come out of it
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        raise EditorError(f"{doing}: {with_type(error)} ({where})") from error


def unmeasured(edit: Edit) -> EditOutcome:
    """The outcome of an edit that left a model which cannot be asked."""
    return EditOutcome(
        id=edit.id, prompt=edit.prompt, subject=edit.subject, target=edit.target, target_true=edit.target_true
    )


def run_suite(experiment: Experiment, editors: Sequence[LoadedEditor]) -> Record:
    """Run every editor at every seed; the record holds them in that order."""
    for editor in editors:
        for seed in experiment.suite.spec.run.seeds:
            experiment.run(editor, seed)
    return experiment.record
