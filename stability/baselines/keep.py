"""Making baselines from a record: a file for each of its editors, or none if one cannot be made."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from stability.baselines.file import write_baseline
from stability.baselines.paths import baseline_path
from stability.errors import UsageError
from stability.judge import runs_by_editor
from stability.record import Record


@dataclass(frozen=True)
class Kept:
    """A baseline that was written; `replaced` if there was one before."""

    editor: str
    path: Path
    replaced: bool


def keep(record: Record, folder: Path, *, replace: bool) -> list[Kept]:
    """Write a baseline for each editor of the record.

    Raises:
        UsageError: a run is not complete, or a baseline exists and `replace` is False. Nothing is written.
    """
    reason = refusal(record)
    if reason:
        raise UsageError(f"no baseline was written: {reason}")
    places = {
        editor: baseline_path(folder, record.suite_name, editor, record.model.name)
        for editor in runs_by_editor(record)
    }
    there = {editor for editor, path in places.items() if path.exists()}
    if there and not replace:
        first = places[sorted(there)[0]]
        raise UsageError(f"{first} is there already; replace it: stability baseline update RUN")
    for editor, path in places.items():
        write_baseline(record, editor, path)
    return [Kept(editor, path, editor in there) for editor, path in places.items()]


def refusal(record: Record) -> str:
    """Why a record cannot be a baseline, else "": a run that ended early would look better than it is."""
    if not record.runs:
        return "the record holds no run"
    for run in record.runs:
        if run.status != "complete":
            return f"the run of {run.editor.name} at seed {run.seed} is {run.status}, not complete"
    return ""


def command(verb: str, saved: Path | None, folder: Path, default: Path) -> str:
    """The shell command that makes (`save`) or replaces (`update`) the baselines of the record at a path."""
    where = "RUN.JSON" if saved is None else str(saved.parent if saved.name == "run.json" else saved)
    words = ["stability", "baseline", verb, where]
    return shlex.join(
        words if folder.resolve() == default.resolve() else [*words, "--baselines", str(folder)]
    )
