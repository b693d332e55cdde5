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
    └── TrackerError          a tracker could not be reached, or refused  (exit status 3)

Each message is one line that says what, where, what was expected and what to do.
"""

from __future__ import annotations


class StabilityError(Exception):
    """Base of every error that the harness raises on purpose."""

    exit_status = 3


class UsageError(StabilityError):
    """The suite or the command line is wrong; nothing was run."""

    exit_status = 2


class SuiteError(UsageError):
    """A suite file is wrong; `problems` holds one `file:line: path: message` for each mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SettingsError(UsageError):
    """An editor's settings have a wrong name, type or value."""


class MeasurementError(StabilityError):
    """Something that should have been measured could not be."""


class EditorError(MeasurementError):
    """An editor could not be found, loaded or run."""


class ModelError(MeasurementError):
    """A model or tokenizer could not be loaded, or has a structure that no architecture describes."""


class DataError(MeasurementError):
    """Edits, text or a task's documents are missing or malformed."""


class RecordError(MeasurementError):
    """A run.json is missing, truncated, or written by another schema."""


class TrackerError(StabilityError):
    """A tracker could not be reached, or refused what it was given."""
