"""Every exception that the harness raises on purpose.

    StabilityError
    ├── UsageError            the suite or the command line is wrong      (exit status 2)
    │   ├── SuiteError        a suite file does not say something valid
    │   └── SettingsError     an editor's settings have a wrong name, type or value
    ├── MeasurementError      something could not be measured             (exit status 3)
    │   ├── EditorError       an editor could not be found, loaded or run
    │   ├── ModelError        a model or tokenizer could not be loaded, or is not one we can map
    │   ├── DataError         edits, text or a task's documents are missing or malformed
    │   └── RecordError       a run.json is missing, truncated or of another schema
    ├── RendererError         another package's renderer failed           (exit status 3)
    └── TrackerError          a tracker could not be reached, or refused  (exit status 3)

Each message is one line that says what, where, what was expected and what to do: what others have put into it
is cut, and has no control characters. What kind of problem it is,
and what it is about, are data beside it: see `ProblemKind` and `Details`, and `stability.record.Problem`.
"""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypedDict, Unpack

from stability.printable import LONGEST, one_line

ProblemKind = Literal[
    # a run ended early
    "editor_raised",  # the editor's code raised, refused an edit, or returned no model
    "out_of_memory",
    "interrupted",
    "process_ended",  # the run's process: it exited, crashed or was killed
    "over_budget",  # past one of the suite's `run.limits`; `expected` says which
    "not_finite",  # NaN or infinite weights, activations or logits
    "model_unusable",  # a model cannot be loaded, mapped, called or put back
    "not_repeatable",  # the same done again gave another result, or measuring changed the model
    # something was not measured
    "no_data",  # edits, text or a task's documents are missing or malformed
    "no_edits",  # it is about edits, and none was made
    "no_target_true",  # edits without an old answer
    "no_such_prompts",  # edits without paraphrase or neighborhood prompts
    "nothing_to_measure",  # any other reason for which there is nothing, and no fault
    "superseded",  # an edit that a later one of the same prompt has replaced
    "structure_changed",  # a matrix or module that the edited model has no more, or in another shape
    "probe_unreliable",  # a probe that is poor on the unedited model, or did not converge
    "needs_level",  # beyond the gate's level; `level` says which one measures it
    "edits_not_verified",  # a gate that was not told what was edited
    "not_measured",  # any other reason
    # a check cannot be judged, or has nothing to judge
    "run_failed",  # the run ended by an error; the record says of what kind
    "not_in_record",  # the suite that was run did not ask for it
    "not_comparable",  # two measurements that are not of the same things
    "base_past_bound",
    "too_few_documents",
    "too_few_to_resample",  # or too much alike
    "at_chance",
    "within_noise",
    "baseline_missing",
    "baseline_stale",
    "run_truncated",
    "no_such_checkpoint",
    "nothing_edited",
    "nothing_selected",
    "does_not_fit",
    # the rest
    "usage",  # the suite or the command line is wrong
    "record_unreadable",
    "renderer_failed",
    "tracker_refused",
    "unknown",  # of a record that another version wrote
]


class Details(TypedDict, total=False):
    """What a problem is about, as far as it applies. `edits` is a number of edits, `level` one of a gate's.

    `file` is a path, with a line as `FILE:LINE` where there is one; `command` would put the matter right.
    """

    metric: str
    task: str
    layer: int
    edits: int
    seed: int
    count: int
    level: str
    file: str
    expected: str
    got: str
    command: str


class StabilityError(Exception):
    """Base of every error that the harness raises on purpose."""

    exit_status = 3
    kind: ProblemKind = "not_measured"
    details: Details = Details()

    def __init__(self, message: str = "", *, kind: ProblemKind | None = None, **details: Unpack[Details]):
        super().__init__(one_line(message))
        self.kind = kind or type(self).kind
        self.details = details


class UsageError(StabilityError):
    """The suite or the command line is wrong; nothing was run."""

    exit_status = 2
    kind = "usage"


@dataclass(frozen=True)
class SuiteProblem:
    """One mistake in a suite, as text `file:line: path: message`.

    `path` is the place inside of the file, `checks.norm.assert`; empty, and `line` None, for the whole file.
    """

    message: str
    file: str = "suite"
    line: int | None = None
    path: str = ""

    def __str__(self) -> str:
        """`file:line: path: message`."""
        return one_line(f"{self.file}{'' if self.line is None else f':{self.line}'}: {self.said}")

    @property
    def said(self) -> str:
        """`path: message`, for where the line is shown otherwise."""
        return f"{self.path}: {self.message}" if self.path else self.message


class SuiteError(UsageError):
    """A suite file is wrong; the message has a line for each of its problems."""

    def __init__(self, problems: Iterable[SuiteProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__()
        self.args = ("\n".join(map(str, self.problems)),)

    def __reduce__(self) -> tuple[type[SuiteError], tuple[tuple[SuiteProblem, ...]]]:
        """It is made again of its problems, as when it goes to another process."""
        return type(self), (self.problems,)


class SettingsError(UsageError):
    """An editor's settings have a wrong name, type or value."""


class MeasurementError(StabilityError):
    """Something that should have been measured could not be."""


class EditorError(MeasurementError):
    """An editor could not be found, loaded or run."""

    kind = "editor_raised"


class ModelError(MeasurementError):
    """A model or tokenizer could not be loaded, or has a structure that no architecture describes."""

    kind = "model_unusable"


class DataError(MeasurementError):
    """Edits, text or a task's documents are missing or malformed."""

    kind = "no_data"


class RecordError(MeasurementError):
    """A run.json is missing, truncated, or written by another schema."""

    kind = "record_unreadable"


class RendererError(StabilityError):
    """A renderer of another package could not be loaded, or failed."""

    kind = "renderer_failed"


class TrackerError(StabilityError):
    """A tracker could not be reached, or refused what it was given."""

    kind = "tracker_refused"


def first_line(error: BaseException) -> str:
    """The first line of an error's message that says something; its type, where there is none."""
    return _said(error) or type(error).__name__


def with_type(error: BaseException) -> str:
    """An error's type, and the first line of its message where it has one."""
    said, name = _said(error), type(error).__name__
    return f"{name}: {said}" if said else name


def with_traceback(error: BaseException) -> str:
    """The same, and the file that its traceback was written to, for an error that nobody foresaw."""
    said = with_type(error)
    try:
        descriptor, name = tempfile.mkstemp(prefix="stability-", suffix=".traceback.txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            traceback.print_exception(error, file=file)
    except Exception:  # a stranger's error may not let itself be printed
        return said
    return f"{said}; its traceback is in {name}"


def _said(error: BaseException) -> str:
    try:
        message = str(error)
    except Exception:  # a stranger's `__str__` may raise anything
        return ""
    lines = message[: 10 * LONGEST].splitlines()
    return next((one_line(line) for line in lines if line.strip()), "")
