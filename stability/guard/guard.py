"""The guard: inside an editing service, each batch of edits is kept if the suite holds, else rolled back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from stability.data.edits import Edit
from stability.editors import Store
from stability.errors import UsageError
from stability.guard.accepted import Accepted
from stability.guard.bisection import find_harmful
from stability.guard.editors import EditorInUse, EditorsInUse
from stability.guard.journal import Journal, JournalEntry, JournalHeader
from stability.guard.transactions import Checked, GuardChecks, Transactions
from stability.metrics import heads_of, refuse_unjudgeable
from stability.models import (
    LoadedModel,
    describe_model,
    model_name,
)
from stability.models.tokens import Tokenizer
from stability.record import Record
from stability.run import Examination, measured_text
from stability.run.horizon.point import PointSuite
from stability.suite import SuiteFile, load_suite


class HasSuite(Protocol):
    """`stability.Suite`, as far as the guard needs it."""

    @property
    def file(self) -> SuiteFile:
        """The suite file."""


@dataclass(frozen=True)
class Decision:
    """The outcome of a batch: entry `number` of the journal.

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
    """The harmful edits of a refused batch, and the outcome of the others, if there are any."""

    harmful: tuple[Edit, ...]
    kept: tuple[Edit, ...]
    trials: int
    decision: Decision | None


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
        refuse_unjudgeable(self._suite)
        everything = PointSuite.of(self._suite.spec)
        self._suites: dict[Checked, PointSuite] = {
            "all": everything,
            "cheap": everything.only(_cheap(everything, cheap)),
        }
        if not self._suites["cheap"].spec.checks and every > 1:
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
            self._transactions = self._begin(Path(folder), stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    @property
    def entries(self) -> tuple[JournalEntry, ...]:
        """The journal: every batch so far, kept or refused."""
        return tuple(self._transactions.journal.entries)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The accepted edits, in order."""
        return self._transactions.edits

    def apply(self, editor: str | Callable[..., Any] | object, edits: Sequence[Edit]) -> Decision:
        """Make a batch of edits, measure, and keep it or roll it back, bit for bit.

        The journal is on the disk when this returns. What the editor raises is a reason to refuse.

        Raises:
            UsageError: the batch is empty, or the editor cannot be found or loaded.
            RecordError: the journal could not be written; the model is as before.
        """
        batch = tuple(edits)
        if not batch:
            raise UsageError("Guard.apply: a batch holds at least one edit")
        unchecked = len(self._transactions.journal.not_fully_checked)
        checked: Checked = "all" if unchecked + 1 >= self._every else "cheap"
        return self._decide(self._transactions.editors.hold(editor), batch, checked)

    def bisect(self, editor: str | Callable[..., Any] | object | None = None) -> Bisection:
        """Find which edits of the last batch, which was refused, did the harm, and apply the others.

        From the first edit on, the shortest beginning of the batch that does not hold is looked for by
        halves; its last edit is left out, and so on with the rest. Each harmful edit costs about log₂ of the
        batch in trials. An edit is harmful after those that are kept before it; another order may blame
        another. `editor` has to be given after a restart only.

        Raises:
            UsageError: the last batch was not refused, or its editor is not known.
        """
        work = self._transactions
        entry = work.journal.entries[-1] if work.journal.entries else None
        if entry is None or entry.accepted or not entry.edits:
            raise UsageError("Guard.bisect: the last batch was not refused")
        maker = work.editors.maker(entry, editor)
        trials = 0

        def holds(edits: Sequence[Edit]) -> bool:
            nonlocal trials
            trials += 1
            attempt = work.attempt(maker, tuple(edits), entry.checked)
            work.roll_back(maker, attempt)
            return not attempt.reasons

        harmful, kept = find_harmful(entry.edits, holds)
        ids = tuple(edit.id for edit in harmful)
        decision = self._decide(maker, tuple(kept), entry.checked, ids) if kept else None
        return Bisection(tuple(harmful), tuple(kept), trials, decision)

    def rewind(self, number: int) -> None:
        """Bring model and editors back to where they were after entry `number`; 0 is the unedited model.

        The batches that were accepted since count no more. This, too, is in the journal.

        Raises:
            UsageError: there is no such entry.
            RecordError: the journal could not be read or written; the model is as before.
        """
        journal = self._transactions.journal
        if not 0 <= number <= len(journal.entries):
            raise UsageError(f"Guard.rewind: there is no entry {number}; the last is {len(journal.entries)}")
        journal.tensors(back_to=number)  # that they can be read is known before it is written down
        entry = JournalEntry(number=len(journal.entries) + 1, accepted=False, back_to=number)
        journal.append(entry, {}, {})
        self._transactions.follow_journal()

    def _decide(
        self, editor: EditorInUse, batch: tuple[Edit, ...], checked: Checked, harmful: tuple[str, ...] = ()
    ) -> Decision:
        entry, seconds = self._transactions.decide(editor, batch, checked, harmful)
        return Decision(entry.number, entry.accepted, entry.reasons, entry.changed, checked, seconds)

    def _begin(self, folder: Path, stack: ExitStack) -> Transactions:
        """Open the journal, measure the unedited model, and bring it to where the journal has it."""
        spec = self._suite.spec
        loaded = LoadedModel(self.model, self.tokenizer, model_name(self.model))
        described = describe_model(loaded)
        version = metadata.version("stability-harness")
        journal = Journal(
            folder,
            JournalHeader(
                harness_version=version,
                model=loaded.name,
                model_fingerprint=described.fingerprint,
                seed=self._seed,
            ),
        )
        stack.callback(journal.close)
        text = measured_text(spec.text, self.model, self.tokenizer)
        suite = self._suites["all"]
        examination = Examination(
            self.model, self.tokenizer, suite.spec, text, only=suite.metrics, store=self._store
        )
        record = Record(
            harness_version=version,
            suite_name=spec.name,
            suite_text=self._suite.text,
            measured_fingerprint=self._suite.measured_fingerprint,
            command="",
            model=described,
            edits_source="guard",
            text_fingerprint=text.fingerprint,
            text_tokens=text.tokens,
            base=examination.base,
        )
        accepted = Accepted(examination.snapshot)
        values = journal.tensors()
        accepted.add(values)
        accepted.put_back(self.model, values)
        editors = EditorsInUse(loaded, spec, accepted, journal, self._store, self._seed)
        checks = GuardChecks(self._suites, examination, record)
        return Transactions(loaded, checks, accepted, editors, journal, self._seed)


def _file(suite: HasSuite | SuiteFile | str | Path) -> SuiteFile:
    if isinstance(suite, SuiteFile):
        return suite
    return load_suite(suite) if isinstance(suite, (str, Path)) else suite.file


def _cheap(suite: PointSuite, wanted: Sequence[str] | None) -> list[str]:
    """The names of the cheap checks."""
    checks = suite.spec.checks
    if wanted is None:
        heads = heads_of(suite.spec)
        return [name for name, check in checks.items() if heads[check.metric].cost == "shared"]
    unknown = sorted(set(wanted) - checks.keys())
    if unknown:
        raise UsageError(f"Guard: no check is called {unknown[0]!r}; the suite has {', '.join(checks)}")
    return list(wanted)
