"""One editor at one seed: prepared on the unedited model, then editing and being measured in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stability.data.edits import Edit
from stability.editors import LoadedEditor
from stability.errors import MeasurementError, StabilityError
from stability.record import EditOutcome, Problem
from stability.run.costs import scalar, timed
from stability.run.editing import make_batch, prepare
from stability.run.examination import Reported
from stability.run.recording import Progress, Recorder

if TYPE_CHECKING:
    from stability.run.experiment import Experiment


class SequentialRun:
    """A run of an experiment, told to a recorder. It leaves the model as it has become."""

    def __init__(self, experiment: Experiment, editor: LoadedEditor, seed: int, recorder: Recorder) -> None:
        self._experiment = experiment
        self._editor = editor
        self._seed = seed
        self._recorder = recorder
        self._edits = experiment.streams[seed]
        self._model: Any = experiment.loaded.model
        self._outcomes: list[EditOutcome] = []
        self._timing = {"prepare": 0.0, "edit": 0.0, "measure": 0.0}

    def make(self) -> None:
        """Make all edits, or as many as can be made."""
        try:
            self._prepare()
            self._edit_and_measure()
        except StabilityError as error:
            self._tell(status="failed", error=Problem.of(error))

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
            self._recorder.editing(len(batch))
            reported = self._edit(batch)
            error = self._ask(batch, reported)
            if error is None and self._done not in schedule:
                continue
            self._measure()
            if error is not None:
                raise error
            if self._done < len(self._edits) and not self._recorder.goes_on():
                self._tell(status="truncated")
                return
        self._tell(status="complete")

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
        self._tell(checkpoint=checkpoint.model_copy(update={"costs": costs}))

    def _tell(self, **new: Any) -> None:
        self._recorder.add(Progress(**new, timing=dict(self._timing)))

    @property
    def _done(self) -> int:
        """The number of edits that were made and asked about."""
        return len(self._outcomes)

    @property
    def _label(self) -> str:
        return f"{self._editor.info.name} · seed {self._seed}"
