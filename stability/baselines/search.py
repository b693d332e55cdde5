"""Finding the baselines that a record is compared with."""

from __future__ import annotations

from pathlib import Path

from stability.baselines.file import read_baseline
from stability.baselines.keep import command
from stability.baselines.paths import baseline_path, baselines_folder
from stability.errors import RecordError
from stability.judge import Baseline, runs_by_editor
from stability.record import Record
from stability.suite import SuiteSpec


def is_compared(suite: SuiteSpec, editor: str | None = None) -> bool:
    """Whether a check of the suite (for that editor, if given) is `relative_to: previous`."""
    checks = suite.checks.values() if editor is None else suite.checks_of(editor).values()
    return any(check.relative_to == "previous" for check in checks)


def baselines_for(record: Record, folder: Path, saved: Path | None = None) -> dict[str, Baseline]:
    """The baseline of each editor of a record, from a folder; a missing one has the command that makes it.

    `saved` is the path of the record itself, for the commands that make a baseline of it.
    """
    default = baselines_folder(record.suite_path)
    save, update = (command(verb, saved, folder, default) for verb in ("save", "update"))
    found = {}
    for editor in runs_by_editor(record):
        path = baseline_path(folder, record.suite_name, editor, record.model.name)
        if not path.exists():
            problem = f"no baseline of {editor} on {record.model.name} ({path})"
            found[editor] = Baseline(problem=problem, save=save, update=update)
            continue
        try:
            found[editor] = Baseline(read_baseline(path), save=save, update=update)
        except RecordError as error:
            found[editor] = Baseline(problem=str(error), save=update, update=update)
    return found
