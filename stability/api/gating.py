"""Judging an edited checkpoint on disk."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from stability.api.folder import RunIdentity, prepare_folder
from stability.api.report import Report, write_files
from stability.api.suite import Suite
from stability.errors import UsageError
from stability.files import RECORD_FILE
from stability.writer import sole_writer

if TYPE_CHECKING:
    from stability.run import Listener


def gate(
    base: str | Path,
    edited: str | Path,
    suite: Suite | str | Path | None = None,
    *,
    level: str = "weights",
    edits: str | Path | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> Report:
    """Judge an edited checkpoint on disk against the one that it was made from; see `stability.gate.gate`.

    `level` is `weights`, `activations` or `tasks`; `edits` a file of the edits that were made. With `out`,
    run.json and the reports are written there; `overwrite` as for `Suite.run`.

    Raises:
        UsageError: the suite or the level is wrong, or `out` holds the record of another run.
        MeasurementError: a file is missing, cut short or a pickle, or a model cannot be loaded.
    """
    from stability.gate import Level, default_suite
    from stability.gate import gate as measure

    if level not in list(Level):
        raise UsageError(f"no level is called {level!r}; there are {', '.join(Level)}")
    by = suite if isinstance(suite, Suite) else Suite.load(suite or default_suite())
    with nullcontext() if out is None else sole_writer(Path(out)):
        if out is not None:
            name, path = by.file.spec.name, by.file.path
            run = RunIdentity(name, path, str(base), frozenset([str(edited)]), frozenset([0]))
            prepare_folder(Path(out), run, by.file, overwrite=overwrite)
        path = None if out is None else Path(out, RECORD_FILE)
        record = measure(
            str(base),
            str(edited),
            by.file,
            listener,
            level=Level(level),
            edits=None if edits is None else Path(edits),
            changes=by.changes,
            keep=None if path is None else lambda record: by.write_cut_off(record, path),
        )
        report = by.judge(record, path)
        if path is not None:
            write_files(report, path.parent)
        return report
