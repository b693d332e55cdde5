"""What a run tells of itself while it is made, and the run in the record that grows by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import Field

from stability.record import Checkpoint, EditOutcome, Problem, Run
from stability.record.schema import Isolation, RecordModel
from stability.run.points.folder import cut

if TYPE_CHECKING:
    from stability.editors import LoadedEditor
    from stability.run.experiment import Experiment


class Progress(RecordModel):
    """What is new of a run: edits with the answers to them, a checkpoint, a point, or how it ended."""

    goes_on_from: int | None = None  # edits of the run that is gone on with; 0 if none of them
    outcomes: tuple[EditOutcome, ...] = ()
    checkpoint: Checkpoint | None = None
    point: int | None = None  # after so many edits one was written to go on from
    status: Literal["complete", "truncated", "failed"] | None = None
    error: Problem | None = None
    timing: dict[str, float] = Field(default_factory=dict)  # seconds by stage, from the start


class Recorder(Protocol):
    """Told of a run by the one that makes it."""

    def editing(self, edits: int) -> None:
        """So many edits are made now, in one batch."""

    def add(self, progress: Progress) -> None:
        """There is something new."""

    def goes_on(self) -> bool:
        """Whether more edits are to be made after the last checkpoint."""


class Recording:
    """A run in the record of an experiment: it grows there, and on the disk with every checkpoint and point.

    `earlier` is the run that it goes on with, None for one that begins; `points` are None where nothing is
    left to go on from.
    """

    def __init__(self, experiment: Experiment, editor: LoadedEditor, seed: int, isolation: Isolation) -> None:
        self._experiment = experiment
        self.points = experiment.points(editor.info, seed)
        self.earlier = experiment.unfinished(editor.info, seed)
        self._isolation = isolation
        if self.earlier is None:
            # truncated until it is known to be complete
            self.run = Run(editor=editor.info, seed=seed, status="truncated", isolation=isolation)
        else:
            self.run = cut(self.earlier, len(self.earlier.edits))
        if self.points is not None and self.earlier is None:
            self.points.clear()
        self.has_ended = False

    def editing(self, edits: int) -> None:
        """Nothing is recorded before there are answers."""

    def add(self, progress: Progress) -> None:
        """Add to the run; with a checkpoint, a point, or its end, the record is written."""
        if progress.goes_on_from is not None:
            self._go_on(progress.goes_on_from)
        run, checkpoint = self.run, progress.checkpoint
        changes: dict[str, Any] = {
            "edits": (*run.edits, *progress.outcomes),
            "checkpoints": (*run.checkpoints, *([] if checkpoint is None else [checkpoint])),
            "timing": progress.timing or run.timing,
        }
        if progress.status is not None:
            changes |= {"status": progress.status, "error": progress.error}
        if progress.status == "failed":
            changes |= {"failed_at": len(run.edits) + len(progress.outcomes)}
        self.run = run.model_copy(update=changes)
        self.has_ended = progress.status is not None
        if checkpoint is not None or progress.point is not None or progress.status is not None:
            self._experiment.keep(self.run)
        if self.points is not None and progress.point is not None:
            self.points.written(progress.point)
        if self.points is not None and progress.status is not None:
            self.points.ended(progress.error)

    def _go_on(self, edits: int) -> None:
        """Take the run back to where it is gone on with."""
        resumed = (*self.run.resumed_at, edits)
        changes = {"isolation": self._isolation, "resumed_at": resumed}
        self.run = cut(self.run, edits).model_copy(update=changes)

    def goes_on(self) -> bool:
        """As the experiment decides."""
        return self._experiment.goes_on(self.run)

    def failed(self, error: Problem) -> None:
        """End the run by an error, if it has not ended."""
        if not self.has_ended:
            self.add(Progress(status="failed", error=error))
