"""One editor at one seed: prepared on the unedited model, then editing and being measured in turn."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stability.data.edits import Edit
from stability.editors import LoadedEditor
from stability.errors import MeasurementError, StabilityError
from stability.record import EditOutcome, Problem, Run
from stability.run.costs import scalar, timed
from stability.run.editing import make_batch, prepare
from stability.run.examination import Reported
from stability.run.points.folder import Pace, Points, cut
from stability.run.points.point import read_point, write_point
from stability.run.points.restoring import restored, taken
from stability.run.recording import Progress, Recorder

if TYPE_CHECKING:
    from stability.run.experiment import Experiment

log = logging.getLogger(__name__)


class SequentialRun:
    """A run of an experiment, told to a recorder. It leaves the model as it has become.

    With `points`, it leaves what is needed to go on from; an `earlier` run is gone on with from the last.
    """

    def __init__(
        self,
        experiment: Experiment,
        editor: LoadedEditor,
        seed: int,
        recorder: Recorder,
        points: Points | None = None,
        earlier: Run | None = None,
    ) -> None:
        self._experiment = experiment
        self._editor = editor
        self._seed = seed
        self._recorder = recorder
        self._points = points
        self._earlier = earlier
        self._edits = experiment.streams[seed]
        self._model: Any = experiment.loaded.model
        self._outcomes: list[EditOutcome] = []
        self._timing = {"prepare": 0.0, "edit": 0.0, "measure": 0.0}
        self._measured = 0  # the edits of the last checkpoint
        self._pace = Pace(experiment.suite.spec.run.resume, 0)
        self._has_warned = False

    def make(self) -> None:
        """Make all edits, or as many as can be made."""
        try:
            self._begin()
            self._edit_and_measure()
        except StabilityError as error:
            self._tell(status="failed", error=Problem.of(error))

    def _begin(self) -> None:
        """Prepare the editor, and go on with the earlier run; that is not ended by what prevents it now."""
        try:
            self._prepare()
            if self._earlier is not None:
                self._go_on(self._earlier)
        except StabilityError as error:
            if self._earlier is None:
                raise
            words = f"not gone on with: {error}"
            raise MeasurementError(words, kind="interrupted") from error

    def _prepare(self) -> None:
        loaded, store = self._experiment.loaded, self._experiment.store
        self._experiment.listener.stage(f"{self._label}: preparing")
        with timed(self._timing, "prepare"):
            prepare(self._editor, loaded.model, loaded.tokenizer, store, self._seed)

    def _go_on(self, earlier: Run) -> None:
        """Bring model and editor to the last point of a run; to its beginning if there is none to be used."""
        for path in self._points.up_to(len(earlier.edits)) if self._points is not None else ():
            try:
                point = read_point(path)
                self._experiment.must_be_of(point.header, self._editor.info, self._seed, path)
                self._model = restored(
                    self._experiment.examination, self._experiment.loaded.model, self._editor, point
                )
            except StabilityError as error:
                log.warning("%s: %s; it is not gone on from there", self._label, error)
                self._experiment.put_back()
                self._prepare()
                continue
            run = cut(earlier, point.header.edits)
            self._outcomes = list(run.edits)
            self._measured = run.checkpoints[-1].edits if run.checkpoints else 0
            for stage, seconds in earlier.timing.items():
                self._timing[stage] = self._timing.get(stage, 0.0) + seconds
            if not self._editor.has("state"):
                log.warning(
                    "%s has no state(): it goes on from the model alone, as an uninterrupted run would "
                    "only if it remembers nothing else from one edit to the next",
                    self._editor.info.name,
                )
            break
        else:
            if earlier.edits:
                log.warning("%s: nothing to go on from; it begins anew", self._label)
        self._pace = Pace(self._experiment.suite.spec.run.resume, self._done)
        self._tell(goes_on_from=self._done)

    def _edit_and_measure(self) -> None:
        """Edit on, batch by batch, until the last edit, a checkpoint that ends the run, or an error."""
        spec = self._experiment.suite.spec.run
        schedule = spec.schedule()
        if self._done in schedule and self._ends_after_measuring():
            return
        for first in range(self._done, len(self._edits), spec.edits.batch):
            batch = self._edits[first : first + spec.edits.batch]
            self._recorder.editing(len(batch))
            reported = self._edit(batch)
            error = self._ask(batch, reported)
            if error is not None:
                self._measure()
                raise error
            if self._done in schedule or self._pace.is_due(self._done):
                self._leave_point()
            if self._done in schedule and self._ends_after_measuring():
                return
        self._tell(status="complete")

    def _ends_after_measuring(self) -> bool:
        """Measure a checkpoint, if it was not before the run was gone on with; whether it was the last."""
        if self._measured < self._done:
            self._measure()
        if self._done < len(self._edits) and not self._recorder.goes_on():
            self._tell(status="truncated")
            return True
        return False

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
        self._tell(outcomes=tuple(outcomes))
        self._experiment.listener.edits(self._label, self._done, len(self._edits))
        return error

    def _measure(self) -> None:
        """Measure a checkpoint."""
        done = self._done
        self._experiment.listener.stage(f"{self._label}: measuring after {done} edits")
        with timed(self._timing, "measure"):
            checkpoint = self._experiment.examination.checkpoint(
                self._model, self._edits[:done], tuple(self._outcomes), self._seed
            )
        costs = {**checkpoint.costs, "edit_seconds": scalar(self._timing["edit"] / done, "s")}
        self._measured = done
        self._tell(checkpoint=checkpoint.model_copy(update={"costs": costs}))

    def _leave_point(self) -> None:
        """Write what is needed to go on from here; where that is not possible, the run goes on without."""
        if self._points is None:
            return
        done = self._done
        self._pace.written(done)
        try:
            self._points.make_room()
            header = self._experiment.header(self._editor.info, self._seed, done)
            point = taken(self._experiment.examination, self._model, self._editor, header)
            write_point(self._points.path(done), point)
        except (OSError, StabilityError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            if not self._has_warned:
                log.warning("%s: nothing to go on from is left after edit %d: %s", self._label, done, why)
            self._has_warned = True
            return
        self._tell(point=done)

    def _tell(self, **new: Any) -> None:
        self._recorder.add(Progress(**new, timing=dict(self._timing)))

    @property
    def _done(self) -> int:
        """The number of edits that were made and asked about."""
        return len(self._outcomes)

    @property
    def _label(self) -> str:
        return f"{self._editor.info.name} · seed {self._seed}"
