"""The guard: inside an editing service, each batch of edits is kept if the suite holds, else rolled back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Protocol

from torch import Tensor, nn

from stability.data.documents import load_documents
from stability.data.edits import Edit
from stability.editors import Store
from stability.errors import MeasurementError, UsageError
from stability.guard.accepted import Accepted, Form, tensors
from stability.guard.editors import EditorsInUse, Held
from stability.guard.journal import Entry, Header, Journal
from stability.models import (
    LoadedModel,
    context_length,
    describe_model,
    model_name,
    tokenize_text,
)
from stability.models.tokens import Tokenizer
from stability.record import EditOutcome, Record, Run
from stability.run import Examination
from stability.run.costs import timed
from stability.run.editing import make_batch
from stability.run.horizon.point import PointSuite
from stability.run.saved import copy_state
from stability.suite import SuiteFile, load_suite

DEAR = frozenset(
    {
        "task_score",
        "probe_accuracy",
        "edit_retention",
        "retention",
        "retention_accuracy",
        "fluency",
        "hyperspherical_energy",
        "dominant_subspace",
    }
)
"""Metrics that cost more than reading the weights, asking the batch, and one pass over the suite's text."""

Checked = Literal["cheap", "all"]


class HasSuite(Protocol):
    """`stability.Suite`, as far as the guard needs it."""

    @property
    def file(self) -> SuiteFile:
        """The suite file."""


@dataclass(frozen=True)
class Decision:
    """What became of a batch: entry `number` of the journal.

    `reasons` say why it was refused; `changed` names the tensors that it changed; `seconds` has the time by
    stage: edit, compare, measure, then journal or restore.
    """

    number: int
    accepted: bool
    reasons: tuple[str, ...]
    changed: tuple[str, ...]
    checked: Checked
    seconds: dict[str, float]


@dataclass(frozen=True)
class Bisection:
    """Which edits of a refused batch did the harm; and what became of the others, if there are any."""

    harmful: tuple[Edit, ...]
    kept: tuple[Edit, ...]
    trials: int
    decision: Decision | None


@dataclass
class Attempt:
    """A batch that has been made and measured, the model still being as it left it."""

    edits: tuple[Edit, ...]
    checked: Checked
    form: Form
    edited: Any = None
    changed: tuple[str, ...] | None = None  # None as long as that is not known
    outcomes: tuple[EditOutcome, ...] = ()
    reasons: tuple[str, ...] = ()
    seconds: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("edit", "compare", "measure", "journal", "restore"), 0.0)
    )


class Guard:
    """Makes each batch of edits of a model a transaction: made, measured, and kept or rolled back.

        with Guard(model, tokenizer, "service.stability.yaml", journal="journal") as guard:
            decision = guard.apply("memit", edits)

    The model is given unedited, and left as the accepted batches have made it. With a `journal` folder that
    holds earlier batches, the model is brought to where they had it, without editing again. After each batch
    the cheap checks are made, after every `every`-th that is accepted all of the suite's. `cheap` names the
    checks of the former; by default, those that need the weights, the batch's own prompts and one pass over
    the suite's text. A batch is kept if none of them fails or cannot be measured.

    The random numbers of a batch depend on the seed and on how many edits were accepted before, so that the
    weights are those of a run without the refused edits. Only values of tensors can be kept: a batch that
    wraps the model, adds modules to it or hooks it is refused.

    Raises:
        UsageError: the suite or an argument is wrong, or the journal is another model's or in use.
        RecordError: the journal is damaged.
        MeasurementError: the unedited model cannot be measured.
    """

    def __init__(
        self,
        model: nn.Module,
        tokenizer: Tokenizer,
        suite: HasSuite | SuiteFile | str | Path,
        *,
        journal: str | Path | None = None,
        every: int = 10,
        cheap: Sequence[str] | None = None,
        seed: int = 0,
        store: Store | None = None,
    ) -> None:
        if every < 1:
            raise UsageError(f"Guard: every is {every}; all checks are made every so many batches, 1 or more")
        self.model = model
        self.tokenizer = tokenizer
        self._suite = _file(suite)
        self._all = PointSuite.of(self._suite.spec)
        self._cheap = self._all.only(_cheap(self._all, cheap))
        if not self._cheap.spec.checks and every > 1:
            raise UsageError(
                f"suite {self._suite.spec.name}: none of its checks is cheap; name some with cheap=[…], or "
                "make all of them after every batch with every=1"
            )
        self._folder = journal
        self._every = every
        self._seed = seed
        self._store = store or Store()
        self._stack = ExitStack()

    def __enter__(self) -> Guard:
        with ExitStack() as stack:
            folder = self._folder or stack.enter_context(
                tempfile.TemporaryDirectory(prefix="stability-guard-")
            )
            self._begin(Path(folder), stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _begin(self, folder: Path, stack: ExitStack) -> None:
        spec = self._suite.spec
        loaded = LoadedModel(self.model, self.tokenizer, model_name(self.model))
        described = describe_model(loaded)
        version = metadata.version("stability-harness")
        header = Header(
            harness_version=version,
            model=loaded.name,
            model_fingerprint=described.fingerprint,
            seed=self._seed,
        )
        self._journal = Journal(folder, header)
        stack.callback(self._journal.close)
        text = tokenize_text(
            self.tokenizer,
            load_documents(spec.text.source, spec.text.path),
            tokens=spec.text.tokens,
            max_length=context_length(self.model),
        )
        self._examination = Examination(
            self.model, self.tokenizer, self._all.spec, text, only=self._all.metrics
        )
        self._record = Record(
            harness_version=version,
            suite_name=spec.name,
            suite_text=self._suite.text,
            measured_fingerprint=self._suite.measured_fingerprint,
            command="",
            model=described,
            edits_source="guard",
            text_fingerprint=text.fingerprint,
            text_tokens=text.tokens,
            base=self._examination.base,
        )
        self._accepted = Accepted(self._examination.snapshot)
        values = self._journal.tensors()
        self._accepted.add(values)
        self._accepted.put_back(self.model, values)
        self._editors = EditorsInUse(loaded, spec, self._accepted, self._journal, self._store, self._seed)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The journal: every batch so far, kept or refused."""
        return tuple(self._journal.entries)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The accepted edits, in order."""
        return tuple(edit for entry in self._journal.accepted for edit in entry.edits)

    def apply(self, editor: str | Callable[..., Any] | object, edits: Sequence[Edit]) -> Decision:
        """Make a batch of edits, measure, and keep it or roll it back, bit for bit.

        The journal is on the disk when this returns. What the editor raises is a reason to refuse.

        Raises:
            UsageError: the batch is empty, or the editor cannot be had.
            RecordError: the journal could not be written; the model is as before.
        """
        batch = tuple(edits)
        if not batch:
            raise UsageError("Guard.apply: a batch holds at least one edit")
        return self._decide(self._editors.hold(editor), batch, self._due())

    def bisect(self, editor: str | Callable[..., Any] | object | None = None) -> Bisection:
        """Find which edits of the last batch, which was refused, did the harm, and apply the others.

        From the first edit on, the shortest beginning of the batch that does not hold is looked for by
        halves; its last edit is left out, and so on with the rest. Each harmful edit costs about log₂ of the
        batch in trials. An edit is harmful after those that are kept before it; another order may blame
        another. `editor` has to be given after a restart only.

        Raises:
            UsageError: the last batch was not refused, or its editor is not known.
        """
        entry = self._journal.entries[-1] if self._journal.entries else None
        if entry is None or entry.accepted or not entry.edits:
            raise UsageError("Guard.bisect: the last batch was not refused")
        held = self._editors.maker(entry, editor)
        trials = 0

        def holds(edits: Sequence[Edit]) -> bool:
            nonlocal trials
            trials += 1
            attempt = self._attempt(held, tuple(edits), entry.checked)
            self._roll_back(held, attempt)
            return not attempt.reasons

        kept: list[Edit] = []
        harmful: list[Edit] = []
        rest = list(entry.edits)
        while rest and (not harmful or not holds([*kept, *rest])):
            low, high = 0, len(rest)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if holds([*kept, *rest[:middle]]) else (low, middle)
            kept += rest[:low]
            harmful.append(rest[low])
            rest = rest[high:]
        kept += rest
        ids = tuple(edit.id for edit in harmful)
        decision = self._decide(held, tuple(kept), entry.checked, ids) if kept else None
        return Bisection(tuple(harmful), tuple(kept), trials, decision)

    def rewind(self, number: int) -> None:
        """Bring model and editors back to where they were after entry `number`; 0 is the unedited model.

        The batches that were accepted since count no more. This, too, is in the journal.

        Raises:
            UsageError: there is no such entry.
            RecordError: the journal could not be read or written; the model is as before.
        """
        if not 0 <= number <= len(self._journal.entries):
            raise UsageError(f"Guard.rewind: there is no entry {number}; the last is {len(self.entries)}")
        self._journal.tensors(back_to=number)  # that they can be read is known before it is written down
        entry = Entry(number=len(self._journal.entries) + 1, accepted=False, back_to=number)
        self._journal.append(entry, {}, {})
        self._follow_journal()

    def _follow_journal(self) -> None:
        """Bring model and editors to where the journal has them."""
        self._accepted.put_back(self.model, self._accepted.replace(self._journal.tensors()))
        self._editors.follow_journal()

    def _unchecked(self) -> list[Entry]:
        """The batches that were accepted since all checks were made."""
        found: list[Entry] = []
        for entry in reversed(self._journal.accepted):
            if entry.checked == "all":
                break
            found.append(entry)
        return found[::-1]

    def _due(self) -> Checked:
        """Whether all checks are to be made: so many batches were accepted since they were."""
        return "all" if len(self._unchecked()) + 1 >= self._every else "cheap"

    def _decide(
        self, held: Held, batch: tuple[Edit, ...], checked: Checked, harmful: tuple[str, ...] = ()
    ) -> Decision:
        attempt = self._attempt(held, batch, checked)
        before = len(self._journal.entries)
        try:
            if attempt.reasons:
                self._roll_back(held, attempt)
            entry = self._note(held, attempt, harmful)
        except BaseException:
            self._roll_back(held, attempt)
            if len(self._journal.entries) > before:  # interrupted once it was written down: so it counts
                self._follow_journal()
            raise
        return Decision(
            entry.number, entry.accepted, entry.reasons, entry.changed, checked, dict(attempt.seconds)
        )

    def _attempt(self, held: Held, batch: tuple[Edit, ...], checked: Checked) -> Attempt:
        """Make a batch and measure; whatever happens but a reason to refuse rolls it back."""
        attempt = Attempt(batch, checked, Form(self.model))
        try:
            attempt.reasons = tuple(self._reasons(held, attempt))
        except MeasurementError as error:
            attempt.reasons = (str(error),)
        except BaseException:
            self._roll_back(held, attempt)
            raise
        return attempt

    def _reasons(self, held: Held, attempt: Attempt) -> Iterator[str]:
        """Make the batch, and say what speaks against keeping it."""
        with timed(attempt.seconds, "edit"):
            attempt.edited, reported = make_batch(
                held.editor, self.model, self.tokenizer, attempt.edits, len(self.edits), self._seed
            )
        if alteration := attempt.form.alteration(attempt.edited):
            yield f"{held.editor.info.name}: {alteration}; only values of tensors can be kept"
            return
        with timed(attempt.seconds, "compare"):
            attempt.changed = self._accepted.differing(attempt.edited)
        with timed(attempt.seconds, "measure"):
            attempt.outcomes = tuple(self._examination.outcomes(attempt.edited, attempt.edits, reported))
            yield from self._asked(held, attempt)

    def _asked(self, held: Held, attempt: Attempt) -> Sequence[str]:
        """Why the suite does not hold after the batch."""
        suite = self._all if attempt.checked == "all" else self._cheap
        earlier = (outcome for entry in self._journal.accepted for outcome in entry.outcomes)
        outcomes = (*earlier, *attempt.outcomes)
        checkpoint = self._examination.checkpoint(
            attempt.edited, (*self.edits, *attempt.edits), outcomes, self._seed, suite.metrics
        )
        run = Run(editor=held.editor.info, seed=self._seed, edits=outcomes, checkpoints=(checkpoint,))
        reasons = suite.answer(self._record, run).reasons
        unchecked = self._unchecked()
        if not reasons or attempt.checked == "cheap" or not unchecked:
            return reasons
        return (
            *reasons,
            f"entries from {unchecked[0].number} on were not put to all checks, and may have done it",
        )

    def _note(self, held: Held, attempt: Attempt, harmful: tuple[str, ...]) -> Entry:
        """Write down what became of a batch; one that is kept is accepted once that is on the disk."""
        entry = Entry(
            number=len(self._journal.entries) + 1,
            accepted=not attempt.reasons,
            editor=held.editor.info.name,
            editor_fingerprint=held.editor.info.fingerprint,
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
                return self._journal.append(entry, {}, {})
            values = _copies(tensors(attempt.edited), entry.changed)
            state = copy_state(held.editor.state())
            entry = self._journal.append(entry, values, state)
        self._accepted.add(values)
        held.state = state
        moved = attempt.edited is not self.model or attempt.form.has_moved()
        attempt.form.restore()
        if moved:
            self._accepted.put_back(self.model, self._accepted.differing(self.model))
        return entry

    def _roll_back(self, held: Held, attempt: Attempt) -> None:
        """The model, bit for bit, and what the editor remembers, as after the last batch that was kept."""
        with timed(attempt.seconds, "restore"):
            moved = attempt.edited is not self.model or attempt.form.has_moved()
            attempt.form.restore()
            changed = attempt.changed
            if changed is None or moved:
                changed = self._accepted.differing(self.model)
            self._accepted.put_back(self.model, changed)
            self._editors.take_back(held)


def _file(suite: HasSuite | SuiteFile | str | Path) -> SuiteFile:
    if isinstance(suite, SuiteFile):
        return suite
    return load_suite(suite) if isinstance(suite, (str, Path)) else suite.file


def _cheap(suite: PointSuite, wanted: Sequence[str] | None) -> list[str]:
    """The names of the cheap checks."""
    checks = suite.spec.checks
    if wanted is None:
        return [name for name, check in checks.items() if check.metric not in DEAR]
    unknown = sorted(set(wanted) - checks.keys())
    if unknown:
        raise UsageError(f"Guard: no check is called {unknown[0]!r}; the suite has {', '.join(checks)}")
    return list(wanted)


def _copies(now: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    return {name: now[name].detach().to("cpu", copy=True).contiguous() for name in names}
