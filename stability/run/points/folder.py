"""Where a run's points lie, `points/EDITOR-SEED/EDITS.safetensors`, and which of them stay there."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from stability.files import PART
from stability.record import EditorInfo, Problem, Run
from stability.suite.schema import ResumeSpec, RunSpec

SUFFIX = ".safetensors"
LONGEST = 80  # characters of an editor's name in a folder's
GOES_ON = ("interrupted", "process_ended", "over_budget", "out_of_memory")
"""The kinds of problems that have ended a run, and need not end it when it is taken up again."""


def run_folder(folder: Path, editor: str, seed: int) -> Path:
    """The folder of a run's points, in the folder of all runs' points."""
    word = re.sub(r"[^A-Za-z0-9._()-]", "-", editor)[:LONGEST]
    mark = "" if word == editor else f"-{hashlib.sha256(editor.encode()).hexdigest()[:8]}"
    return folder / f"{word}{mark}-{seed}"


class Points:
    """The points of one run on the disk: what it can be gone on with from; then those that are kept."""

    def __init__(self, folder: Path, editor: EditorInfo, seed: int, spec: RunSpec) -> None:
        self._folder = run_folder(folder, editor.name, seed)
        self._spec = spec

    def path(self, edits: int) -> Path:
        """Where the point after so many edits lies."""
        return self._folder / f"{edits:06}{SUFFIX}"

    def make_room(self) -> None:
        """Create the folder, and remove what a process has left behind that was killed while it wrote."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for part in self._folder.glob(f"*{PART}"):
            part.unlink(missing_ok=True)

    def up_to(self, edits: int) -> list[Path]:
        """The points after at most so many edits, the last of them first."""
        found = {path: number for path in self._paths() if (number := _edits(path)) <= edits}
        return sorted(found, key=lambda path: found[path], reverse=True)

    def written(self, edits: int) -> None:
        """A point is whole, and the record has what belongs to it: those before are not needed any more."""
        kept = self._spec.schedule() if self._spec.keep == "all" else ()
        self._remove(path for path in self._paths() if _edits(path) not in (edits, *kept))

    def ended(self, problem: Problem | None) -> None:
        """The run has ended: nothing stays but what was to be kept, unless it can be gone on with."""
        if problem is not None and problem.kind in GOES_ON:
            return
        last = max((_edits(path) for path in self._paths()), default=0)
        kept = {"none": (), "final": (last,), "all": self._spec.schedule()}[self._spec.keep]
        self._remove(path for path in self._paths() if _edits(path) not in kept)

    def clear(self) -> None:
        """Remove all of them, as of a run that begins."""
        self._remove(self._paths())

    def _paths(self) -> list[Path]:
        return [path for path in self._folder.glob(f"*{SUFFIX}") if path.stem.isdecimal()]

    def _remove(self, paths: Iterable[Path]) -> None:
        """Remove files; where that is not possible, they only take room."""
        with suppress(OSError):
            for path in list(paths):
                path.unlink(missing_ok=True)
            self._folder.rmdir()  # if nothing is left in it
            self._folder.parent.rmdir()


class Pace:
    """When the next point between checkpoints is due."""

    def __init__(self, spec: ResumeSpec, edits: int) -> None:
        self._spec = spec
        self._edits = edits
        self._written = time.monotonic()

    def is_due(self, edits: int) -> bool:
        """Whether as many edits or as much time as may be lost have passed since the last."""
        if self._spec.edits is not None:
            return edits - self._edits >= self._spec.edits
        return self._spec.seconds is not None and time.monotonic() - self._written >= self._spec.seconds

    def written(self, edits: int) -> None:
        """One was written, or could not be."""
        self._edits, self._written = edits, time.monotonic()


def cut(run: Run, edits: int) -> Run:
    """A run as it was after so many edits, with the checkpoints up to there; unfinished."""
    checkpoints = tuple(checkpoint for checkpoint in run.checkpoints if checkpoint.edits <= edits)
    changes = {"edits": run.edits[:edits], "checkpoints": checkpoints, "status": "truncated"}
    return run.model_copy(update={**changes, "error": None, "failed_at": None})


def _edits(path: Path) -> int:
    return int(path.stem)
