"""Running a suite: every editor at every seed, each from the unedited model, recorded as it goes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from stability.editors import LoadedEditor, Store
from stability.errors import RecordError
from stability.files import POINTS_FOLDER
from stability.metrics import refuse_unjudgeable
from stability.models import LoadedModel, describe_model, model_fingerprint, tokenizer_fingerprint
from stability.record import EditorInfo, Problem, Record, Replaced, Run, write_record
from stability.record.schema import Isolation, ModelInfo
from stability.run.examination import Examination
from stability.run.isolation import Structure
from stability.run.listener import Listener, Silent
from stability.run.points.fit import is_left, refuse_other_material, run_of, stream_fingerprint
from stability.run.points.folder import Points
from stability.run.points.point import PointHeader
from stability.run.process.isolated import can_be_isolated, run_isolated
from stability.run.recording import Recording
from stability.run.sequential import SequentialRun
from stability.run.streams import load_streams
from stability.run.surroundings import flags_kept, read_flags
from stability.run.text import measured_text
from stability.suite import SuiteFile

LOG = logging.getLogger(__name__)
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
    `isolation` says where runs are made, in processes of their own or in this one; see `run`. `earlier` is an
    unfinished record of the same, which this one goes on with: its ended runs are kept, and the others are
    continued from the points in the folder.

    Raises:
        UsageError: the earlier record is of something else.
        MeasurementError: something cannot be loaded or measured.
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
    earlier: Record | None = None  # which is gone on with
    _left: Left | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        started = time.perf_counter()
        self.path = _fixed(self.path)
        refuse_unjudgeable(self.suite, is_run=True)
        spec = self.suite.spec
        model = self.loaded.model
        streams = load_streams(spec.run, self.loaded, self.store, self.listener)
        self.streams = streams.edits
        self.structure = Structure(model)
        self.text = measured_text(spec.text, model, self.loaded.tokenizer)
        described = describe_model(self.loaded)
        self._fits(described, self.text.fingerprint)
        self.listener.stage("unedited model")
        self.examination = Examination(
            model,
            self.loaded.tokenizer,
            spec,
            self.text,
            self.listener,
            store=self.store,
            streams=self.streams,
        )
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
            model=described,
            edits_source=spec.run.edits.path or spec.run.edits.source,
            passed_over=dict(streams.passed_over),
            text_fingerprint=self.text.fingerprint,
            text_tokens=self.text.tokens,
            base=self.examination.base,
            versions={name: metadata.version(name) for name in PACKAGES},
            started=now(),
        )
        read = self.examination.unedited.seconds if self.examination.unedited.read else 0.0
        timing = {"unedited model": time.perf_counter() - started - read}
        if read:
            timing["unedited model, from the store"] = read
        self.record = self.record.model_copy(update={"timing": timing})
        self._take_up()

    def again(
        self, path: Path | None, command: str, replaced: Replaced, earlier: Record | None = None
    ) -> Experiment:
        """The same, base measurements included, with a record of its own, which goes on with an earlier one.

        Raises:
            UsageError: the earlier record is of something else.
        """
        fresh = copy(self)
        fresh.path, fresh.earlier = _fixed(path), earlier
        changes = {"runs": (), "command": command, "replaced": replaced, "started": now()}
        fresh.record = self.record.model_copy(update=changes)
        fresh._fits(self.record.model, self.record.text_fingerprint)
        fresh._take_up()
        return fresh

    def points(self, editor: EditorInfo, seed: int) -> Points | None:
        """Where a run leaves what it can be gone on with from; None if it leaves nothing."""
        spec = self.suite.spec.run
        if self.path is None or (spec.resume.is_never and spec.keep == "none"):
            return None
        return Points(self.path.parent / POINTS_FOLDER, editor, seed, spec)

    def header(self, editor: EditorInfo, seed: int, edits: int) -> dict[str, Any]:
        """What a point of a run says that it is of."""
        return {
            "harness_version": self.record.harness_version,
            "started": self.record.started,
            "editor": editor,
            "seed": seed,
            "edits": edits,
            "stream": stream_fingerprint(self.streams[seed]),
            "model_fingerprint": self.record.model.fingerprint,
        }

    def must_be_of(self, header: PointHeader, editor: EditorInfo, seed: int, path: Path) -> None:
        """Refuse a point of another run by `RecordError`, as one that was left in the folder."""
        for name, wanted in self.header(editor, seed, header.edits).items():
            if getattr(header, name) != wanted:
                raise RecordError(f"{path}: is a point of another run (its {name} is another)")

    def unfinished(self, editor: EditorInfo, seed: int) -> Run | None:
        """The earlier record's run of an editor at a seed, which is gone on with; None if there is none."""
        return None if self.earlier is None else run_of(self.earlier, editor, seed)

    def has_ended(self, editor: EditorInfo, seed: int) -> bool:
        """Whether a run was made to its end before."""
        run = self.unfinished(editor, seed)
        if run is None or self.earlier is None:
            return False
        stopped = bool(run.checkpoints) and run.checkpoints[-1].edits == len(run.edits)
        return not is_left(self.earlier, run) or (run.error is None and stopped and not self.goes_on(run))

    def _fits(self, model: ModelInfo, text: str) -> None:
        if self.earlier is not None:
            refuse_other_material(self.path, self.earlier, model, text, self.streams)

    def _take_up(self) -> None:
        """Let the record be the earlier one's continuation, if there is one."""
        if self.earlier is None:
            return
        if self.record.without_times().base != self.earlier.without_times().base:
            LOG.warning(
                "the unedited model measures otherwise here than when the run began; "
                "what is measured now may differ a little from what it would have been there"
            )
        changes = {"started": self.earlier.started, "base": self.earlier.base}
        self.record = self.record.model_copy(update=changes)

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
                SequentialRun(self, editor, seed, recording, recording.points, recording.earlier).make()
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


def run_suite(experiment: Experiment, editors: Sequence[LoadedEditor]) -> Record:
    """Run every editor at every seed, but for runs that have ended before; the record holds them in order."""
    experiment.record = experiment.record.model_copy(update={"under_way": True})
    for editor in editors:
        for seed in experiment.suite.spec.run.seeds:
            ended = experiment.unfinished(editor.info, seed)
            if ended is not None and experiment.has_ended(editor.info, seed):
                experiment.keep(ended)
            else:
                experiment.run(editor, seed)
    experiment.finish()
    return experiment.record


def _fixed(path: Path | None) -> Path | None:
    """The same place, wherever an editor changes to."""
    return None if path is None else path.absolute()


def now() -> str:
    """The time in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
