"""One editor on its way through the edits of one seed: forwards batch by batch, and back to a kept point."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stability.editors import LoadedEditor
from stability.errors import EditorError, MeasurementError, StabilityError
from stability.models import measurable
from stability.models.snapshot import stored_tensors
from stability.record import Checkpoint, EditOutcome, Problem
from stability.run.editing import make_batch, prepare
from stability.run.experiment import Experiment
from stability.run.horizon.progress import WalkProgress
from stability.run.points.folder import Pace
from stability.run.points.point import read_point, write_point
from stability.run.points.restoring import restored, taken
from stability.run.points.sums import word_sums

log = logging.getLogger(__name__)


class Walk:
    """The model after any number of edits, `at`; what a point was that has been passed before is checked.

    Going back is putting the model back to the last kept point before, preparing the editor on the unedited
    model again, giving it its state of then, and making the edits after it once more, with the same random
    numbers. After each of them every tensor has to be what it was the first time. Where it is not, because
    the editor keeps something to itself that `state` does not say, all edits are made again from the first.
    An editor that adds to the model what it does not rebuild is taken back so, too.
    """

    def __init__(self, experiment: Experiment, editor: LoadedEditor, seed: int, folder: Path) -> None:
        self._experiment = experiment
        self._editor = editor
        self._seed = seed
        self._folder = folder
        self._edits = experiment.streams[seed]
        self._batch = experiment.suite.spec.run.edits.batch
        self._digests: dict[int, str] = {}
        self._model: Any = experiment.loaded.model
        self._since = 0  # where the edits that are being made again began
        self._kept: int | None = None  # after so many edits
        self._newest: int | None = None
        self._can_keep = True
        self._has_warned = False  # of a disk without room
        self._pace = Pace(experiment.suite.spec.run.resume, 0)
        self.when_due: Callable[[], None] = lambda: None  # a point is, between numbers that are asked at
        self.at = 0
        self.outcomes: list[EditOutcome] = []
        self.end: EditingEnd | None = None
        self.edits_made = 0
        self.edits_repeated = 0

    @property
    def stops(self) -> tuple[int, ...]:
        """The numbers of edits at which the model can be measured: after every batch."""
        count = len(self._edits)
        return (*range(self._batch, count, self._batch), count)

    def __enter__(self) -> Walk:
        self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._experiment.put_back()

    def go_to(self, edits: int) -> bool:
        """Bring the model to that many edits; False if the editor cannot come so far, as `end` says.

        Raises:
            MeasurementError: edits that are made again from the first do not give the same weights.
        """
        while True:
            if self.end is not None and edits > self.end.at:
                return False
            if self.at > edits:
                self._return(edits)
            elif self.at < edits:
                self._step()
            else:
                return True

    def measure(self, metrics: frozenset[str]) -> Checkpoint:
        """The readings of these metrics, of the model as it is."""
        done = self.at
        return self._experiment.examination.checkpoint(
            self._model, self._edits[:done], tuple(self.outcomes[:done]), self._seed, metrics
        )

    def keep(self) -> None:
        """Keep this point to go back to, in place of an earlier one."""
        if self.at == 0 or self._kept == self.at:
            return
        if self._written(self.at):
            self._kept = self.at
            self._remove_others()

    def progress(self) -> WalkProgress:
        """Where the walk is, with a point there if one can be written: it can be gone on with from that."""
        end = self.end
        if (end is None or self.at <= end.at) and self.at > 0:
            self._written(self.at)
        self._remove_others()
        self._pace.written(self.at)
        return WalkProgress(
            at=self.at,
            kept=self._kept,
            can_keep=self._can_keep,
            outcomes=tuple(self.outcomes),
            digests=self._digests,
            end=None if end is None else end.at,
            error=None if end is None else Problem.of(end.error),
            broken=end is not None and end.broken,
            edits_made=self.edits_made,
            edits_repeated=self.edits_repeated,
        )

    def take_up(self, progress: WalkProgress) -> None:
        """Go on from where an earlier walk was; its edits are made again from its last point, uncounted."""
        self.outcomes = list(progress.outcomes)
        self._digests = dict(progress.digests)
        if progress.end is not None and progress.error is not None:
            error = MeasurementError(progress.error.message, kind=progress.error.kind)
            self.end = EditingEnd(progress.end, error, broken=progress.broken)
        self._kept, self._can_keep = progress.kept, progress.can_keep
        if self._path(progress.at).exists():
            self._newest = progress.at
        if self.end is not None and progress.at > self.end.at:
            self.at = progress.at  # half made, as it was
        elif not self._restored(progress.at):
            self._restored(self._kept or 0)
            self.go_to(progress.at)
        self.edits_made, self.edits_repeated = progress.edits_made, progress.edits_repeated
        self._pace.written(self.at)

    def _path(self, edits: int) -> Path:
        return self._folder / f"{edits:06}.safetensors"

    def _written(self, edits: int) -> bool:
        """Write the point where the walk is; False if this editor's cannot be, or there is no room."""
        if not self._can_keep:
            return False
        path = self._path(edits)
        if path.exists() and edits in (self._kept, self._newest):
            return True
        examination = self._experiment.examination
        try:
            header = self._experiment.header(self._editor.info, self._seed, edits)
            write_point(path, taken(examination, self._model, self._editor, header))
        except OSError as error:  # a point less: the walk goes back to the one before
            if not self._has_warned:
                log.warning("%s: no point is left after edit %d: %s", self._folder, edits, error.strerror)
            self._has_warned = True
            return False
        except StabilityError as error:
            self._mistrust_points(error)
            return False
        self._newest = edits
        return True

    def _restored(self, edits: int) -> bool:
        """Bring the model, which is the unedited one, to a point; False if that is not possible."""
        path = self._path(edits)
        if edits == 0 or not self._can_keep or not path.exists():
            return edits == 0
        try:
            point = read_point(path)
            self._experiment.must_be_of(point.header, self._editor.info, self._seed, path)
            model = self._experiment.loaded.model
            self._model = restored(self._experiment.examination, model, self._editor, point)
        except StabilityError as error:
            self._mistrust_points(error)
            self._start()
            return False
        self.at = self._since = edits
        return True

    def _mistrust_points(self, error: StabilityError) -> None:
        log.warning("%s: %s; its edits are made again from the first", self._editor.info.name, error)
        self._can_keep = False
        self._kept = self._newest = None
        self._remove_others()

    def _remove_others(self) -> None:
        """Remove the points that are neither gone back to nor the last."""
        for path in self._folder.glob("*.safetensors"):
            if int(path.stem) not in (self._kept, self._newest):
                path.unlink(missing_ok=True)

    def _step(self) -> None:
        """Make one batch of edits."""
        first = self.at
        batch = self._edits[first : first + self._batch]
        done = first + len(batch)
        self.edits_made += len(batch)
        try:
            self._model, reported = make_batch(
                self._editor, self._model, self._experiment.loaded.tokenizer, batch, first, self._seed
            )
        except EditorError as error:
            self.end = EditingEnd(first, error, broken=False)
            self.at = done  # half made: to be anywhere, the model has to go back
            return
        self.at = done
        digest = sums_digest(self._model)
        if done in self._digests:
            self.edits_repeated += len(batch)
            if digest != self._digests[done]:
                self._mistrust(done)
            return
        self._digests[done] = digest
        outcomes, unanswered = self._experiment.examination.ask(self._model, batch, reported)
        if unanswered is not None:
            self.end = EditingEnd(done, unanswered, broken=True)
        self.outcomes += outcomes
        self._experiment.listener.edits(self._label, done, len(self._edits))
        if self._pace.is_due(done):
            self.when_due()

    @property
    def _label(self) -> str:
        return f"{self._editor.info.name} · seed {self._seed}"

    def _mistrust(self, done: int) -> None:
        """Edits made again gave another model: go back to the first; nothing is to be done if that was it."""
        if self._since == 0:
            raise MeasurementError(
                f"{self._editor.info.name}: the same edits with the same random numbers gave other weights "
                f"after edit {done}; it cannot be taken back, so measure after every edit instead (--every)",
                kind="not_repeatable",
            )
        log.warning(
            "%s does not go on from its state as it did before; its edits are made again from the first",
            self._editor.info.name,
        )
        self._can_keep = False
        self._kept = self._newest = None
        self._remove_others()
        self._start()

    def _return(self, edits: int) -> None:
        """Back to the kept point, or to the unedited model if that comes later."""
        self._start()
        if self._kept is not None and self._kept <= edits:
            self._restored(self._kept)

    def _start(self) -> None:
        """The unedited model, and the editor prepared on it."""
        self._experiment.put_back()
        experiment = self._experiment
        self._model = experiment.loaded.model
        self.at = self._since = 0
        prepare(self._editor, self._model, experiment.loaded.tokenizer, experiment.store, self._seed)


@dataclass(frozen=True)
class EditingEnd:
    """The last number of edits at which there is a model, broken or not, and what prevents more."""

    at: int
    error: MeasurementError
    broken: bool


def sums_digest(model: Any) -> str:
    """SHA-256 of the sums of all stored tensors of a model, or of what an editor made of it."""
    sums = word_sums(stored_tensors(measurable(model)))
    return hashlib.sha256(json.dumps(sums).encode()).hexdigest()
