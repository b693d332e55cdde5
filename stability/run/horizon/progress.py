"""How far a search for the horizon has come, on the disk: it is gone on with from there."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from stability.errors import RecordError, first_line
from stability.files import write_whole
from stability.reading import UnreadableError, read_text
from stability.record import EditOutcome, Problem, Record
from stability.record.schema import RecordModel

FILE = "search.json"


class WalkProgress(RecordModel):
    """Where a walk is, and what it knows of the numbers of edits that it has passed."""

    at: int = 0
    kept: int | None = None  # the point that it goes back to
    can_keep: bool = True  # false: the editor does not go on from points as it did before
    outcomes: tuple[EditOutcome, ...] = ()
    digests: dict[int, str] = Field(default_factory=dict)  # of the model's sums, by the number of edits
    end: int | None = None  # the last number of edits at which there is a model
    error: Problem | None = None  # what prevents more
    broken: bool = False
    edits_made: int = 0
    edits_repeated: int = 0


class SearchProgress(RecordModel):
    """One editor's search at one seed: the content of search.json."""

    schema_version: Literal[1] = 1
    record: Record  # with the one run, and a checkpoint for each number of edits that was asked at
    measurements: int
    walk: WalkProgress


@dataclass(frozen=True)
class SearchFolder:
    """Where a search leaves what it can be gone on with from: `search.json` and points of the walk."""

    folder: Path
    is_resumed: bool = False
    is_lasting: bool = True  # false: nothing is left, and it goes with the process

    def read(self) -> SearchProgress | None:
        """What an earlier search has left; None if there is nothing, or this is no continuation.

        Raises:
            RecordError: it cannot be read.
        """
        path = self.folder / FILE
        if not self.is_resumed or not path.exists():
            return None
        try:
            return SearchProgress.model_validate_json(read_text(path))
        except (OSError, UnreadableError, ValidationError, ValueError) as error:
            raise RecordError(f"{path}: cannot read the search: {first_line(error)}") from error

    def write(self, progress: SearchProgress) -> None:
        """Write how far it has come, in place of what was there.

        Raises:
            RecordError: it cannot be written; what was there stays.
        """
        try:
            write_whole(self.folder / FILE, progress.model_dump_json())
        except OSError as error:
            why = f"{self.folder}: cannot keep the search: {error.strerror}"
            raise RecordError(f"{why}; what was kept before is gone on with by --resume") from error

    def begin(self) -> None:
        """Make the folder, empty if this is no continuation."""
        if not self.is_resumed:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True, exist_ok=True)
