"""Batches of edits on a guarded model: made, measured, and kept or rolled back.

Model, editors and journal move together, and whatever happens they are where the journal has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from stability.data.edits import Edit
from stability.errors import MeasurementError
from stability.guard.accepted import Accepted, Form, tensors
from stability.guard.editors import EditorInUse, EditorsInUse
from stability.guard.journal import Journal, JournalEntry
from stability.models import LoadedModel
from stability.record import EditOutcome, Record, Run
from stability.run import Examination
from stability.run.costs import timed
from stability.run.editing import make_batch
from stability.run.horizon.point import PointSuite
from stability.run.saved import copy_state

Checked = Literal["cheap", "all"]
STAGES = ("edit", "compare", "measure", "journal", "restore")


@dataclass(frozen=True)
class GuardChecks:
    """What a batch is put to: the checks of each kind, on what was fitted on the unedited model.

    `record` is that of the unedited model, without a run.
    """

    suites: Mapping[Checked, PointSuite]
    examination: Examination
    record: Record


@dataclass
class BatchAttempt:
    """A batch that has been made and measured, the model still being as it left it."""

    edits: tuple[Edit, ...]
    checked: Checked
    form: Form
    edited: Any = None
    changed: tuple[str, ...] | None = None  # None as long as that is not known
    outcomes: tuple[EditOutcome, ...] = ()
    reasons: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))


@dataclass
class Transactions:
    """Makes batches of edits on the model, and keeps them or rolls them back, bit for bit."""

    loaded: LoadedModel
    checks: GuardChecks
    accepted: Accepted
    editors: EditorsInUse
    journal: Journal
    seed: int

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The accepted edits, in order."""
        return tuple(edit for entry in self.journal.accepted for edit in entry.edits)

    def attempt(self, editor: EditorInUse, batch: tuple[Edit, ...], checked: Checked) -> BatchAttempt:
        """Make a batch and measure; whatever happens but a reason to refuse rolls it back."""
        attempt = BatchAttempt(batch, checked, Form(self.loaded.model))
        try:
            attempt.reasons = tuple(self._reasons(editor, attempt))
        except MeasurementError as error:
            attempt.reasons = (str(error),)
        except BaseException:
            self.roll_back(editor, attempt)
            raise
        return attempt

    def decide(
        self, editor: EditorInUse, batch: tuple[Edit, ...], checked: Checked, harmful: tuple[str, ...] = ()
    ) -> tuple[JournalEntry, dict[str, float]]:
        """Attempt a batch, and keep it or roll it back: the journal's entry, and the seconds by stage."""
        attempt = self.attempt(editor, batch, checked)
        before = len(self.journal.entries)
        try:
            if attempt.reasons:
                self.roll_back(editor, attempt)
            entry = self._note(editor, attempt, harmful)
        except BaseException:
            self.roll_back(editor, attempt)
            if len(self.journal.entries) > before:  # interrupted once it was written down: so it counts
                self.follow_journal()
            raise
        return entry, dict(attempt.seconds)

    def roll_back(self, editor: EditorInUse, attempt: BatchAttempt) -> None:
        """The model, bit for bit, and what the editor remembers, as after the last batch that was kept."""
        model = self.loaded.model
        with timed(attempt.seconds, "restore"):
            moved = attempt.edited is not model or attempt.form.has_moved()
            attempt.form.restore()
            changed = attempt.changed
            if changed is None or moved:
                changed = self.accepted.differing(model)
            self.accepted.put_back(model, changed)
            self.editors.take_back(editor)

    def follow_journal(self) -> None:
        """Bring model and editors to where the journal has them."""
        self.accepted.put_back(self.loaded.model, self.accepted.replace(self.journal.tensors()))
        self.editors.follow_journal()

    def _reasons(self, editor: EditorInUse, attempt: BatchAttempt) -> Iterator[str]:
        """Make the batch; the reasons to refuse it."""
        model = self.loaded.model
        with timed(attempt.seconds, "edit"):
            tokenizer = deepcopy(self.loaded.tokenizer)  # what an editor does to it goes with the batch
            attempt.edited, reported = make_batch(
                editor.editor, model, tokenizer, attempt.edits, len(self.edits), self.seed
            )
        if alteration := attempt.form.alteration(attempt.edited):
            yield f"{editor.editor.info.name}: {alteration}; only values of tensors can be kept"
            return
        with timed(attempt.seconds, "compare"):
            attempt.changed = self.accepted.differing(attempt.edited)
        with timed(attempt.seconds, "measure"):
            attempt.outcomes = tuple(
                self.checks.examination.outcomes(attempt.edited, attempt.edits, reported)
            )
            yield from self._failures(editor, attempt)

    def _failures(self, editor: EditorInUse, attempt: BatchAttempt) -> Sequence[str]:
        """Why the suite does not hold after the batch."""
        suite = self.checks.suites[attempt.checked]
        earlier = (outcome for entry in self.journal.accepted for outcome in entry.outcomes)
        outcomes = (*earlier, *attempt.outcomes)
        checkpoint = self.checks.examination.checkpoint(
            attempt.edited, (*self.edits, *attempt.edits), outcomes, self.seed, suite.metrics
        )
        run = Run(editor=editor.editor.info, seed=self.seed, edits=outcomes, checkpoints=(checkpoint,))
        reasons = suite.answer(self.checks.record, run).reasons
        unchecked = self.journal.not_fully_checked
        if not reasons or attempt.checked == "cheap" or not unchecked:
            return reasons
        return (
            *reasons,
            f"entries from {unchecked[0].number} on were not put to all checks, and may have done it",
        )

    def _note(self, editor: EditorInUse, attempt: BatchAttempt, harmful: tuple[str, ...]) -> JournalEntry:
        """Write the outcome of a batch to the journal; a kept batch is then accepted."""
        model = self.loaded.model
        entry = JournalEntry(
            number=len(self.journal.entries) + 1,
            accepted=not attempt.reasons,
            editor=editor.editor.info.name,
            editor_fingerprint=editor.editor.info.fingerprint,
            edits=attempt.edits,
            outcomes=attempt.outcomes,
            reasons=attempt.reasons,
            checked=attempt.checked,
            changed=attempt.changed or (),
            harmful=harmful,
            seconds=dict(attempt.seconds),
        )
        with timed(attempt.seconds, "journal"):
            if not entry.accepted:
                return self.journal.append(entry, {}, {})
            values = _copies(tensors(attempt.edited), entry.changed)
            state = copy_state(editor.editor.state())
            entry = self.journal.append(entry, values, state)
        self.accepted.add(values)
        editor.state = state
        moved = attempt.edited is not model or attempt.form.has_moved()
        attempt.form.restore()
        if moved:
            self.accepted.put_back(model, self.accepted.differing(model))
        return entry


def _copies(now: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    return {name: now[name].detach().to("cpu", copy=True).contiguous() for name in names}
