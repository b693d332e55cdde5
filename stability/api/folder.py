"""A run's folder: whose record it holds, and what of it is no longer true once a run starts."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from stability.errors import RecordError, UsageError
from stability.files import FIGURES_FOLDER, HORIZON_FILE, POINTS_FOLDER, RECORD_FILE, kept_aside
from stability.reading import parse_json, read_text
from stability.record import Record, read_record
from stability.report.explain.rerun import overrides
from stability.report.steps.files import report_files
from stability.suite import SuiteFile, parse_suite
from stability.suite.overrides import override

LOG = logging.getLogger(__name__)
HOW_TO_REPLACE = (
    "write into another folder, or replace it with --overwrite "
    "(overwrite=True in Python, --stability-overwrite under pytest)"
)
HOW_TO_GO_ON = "go on with it by --resume (resume=True in Python, --stability-resume under pytest)"
CHECKS = {"checks", "description", "may_change"}  # what a run may change without measuring anything else


@dataclass(frozen=True)
class RunIdentity:
    """What a run is called by: two runs of one identity are the same run, made twice.

    For a gate, `model` is the base and `editors` holds the edited folder.
    """

    suite: str
    suite_path: Path | None
    model: str
    editors: frozenset[str]
    seeds: frozenset[int]

    @classmethod
    def of_horizon(cls, content: dict[str, Any]) -> RunIdentity:
        """The identity of the search that a horizon.json is of.

        Raises:
            KeyError, TypeError, AttributeError: it is none.
        """
        editors = content["editors"]
        seeds = frozenset(seed["seed"] for editor in editors for seed in editor["seeds"])
        path = content.get("suite_path")  # not in those of older versions
        path = None if path is None else Path(path)
        named = frozenset(editor["editor"] for editor in editors)
        return cls(content["suite"], path, content["model"], named, seeds)

    @classmethod
    def of(cls, record: Record) -> RunIdentity:
        """The identity of the run that a record is of."""
        path = None if record.suite_path is None else Path(record.suite_path)
        seeds = frozenset(run.seed for run in record.runs)
        if record.gate is not None:
            edited = frozenset([record.gate.edited])
            return cls(record.suite_name, path, record.gate.base, edited, seeds)
        editors = frozenset(run.editor.name for run in record.runs)
        return cls(record.suite_name, path, record.model.name, editors, seeds)

    def unlike(self, other: RunIdentity) -> str:
        """What this run is of and the other is not, in words; empty if they are the same."""
        if self.suite != other.suite:
            return f"of the suite {self.suite}"
        if _is_another_file(self.suite_path, other.suite_path):
            return f"of {self.suite_path}"
        if self.model != other.model:
            return f"of the model {self.model}"
        if self.editors != other.editors:
            return f"of {', '.join(sorted(self.editors))}"
        if self.seeds != other.seeds:
            return f"of the seeds {', '.join(map(str, sorted(self.seeds)))}"
        return ""


def is_same_run(one: Record, other: Record) -> bool:
    """Whether both are records of one run, not of two that are called the same."""
    return one.started == other.started and RunIdentity.of(one) == RunIdentity.of(other)


def prepare_folder(folder: Path, run: RunIdentity, suite: SuiteFile, *, overwrite: bool = False) -> None:
    """Remove the reports of an earlier run from the folder that a run is about to write into.

    Its record is kept aside, so that nobody takes it for this run's if this one ends before it has a record.

    Raises:
        UsageError: the folder holds a record of another run, of an unfinished one, or one that cannot be
            read, or the horizon of another run, and `overwrite` is false.
    """
    _check_horizon(folder / HORIZON_FILE, run, overwrite=overwrite)
    path = folder / RECORD_FILE
    record = _record_at(path, overwrite=overwrite)
    if record is not None and not overwrite:
        if record.is_unfinished:
            how = HOW_TO_REPLACE if record.gate else f"{HOW_TO_GO_ON}, {HOW_TO_REPLACE}"
            raise UsageError(f"{path} is of a run that did not finish ({progress(record)}); {how}")
        if other := RunIdentity.of(record).unlike(run):
            raise UsageError(f"{path} is of another run ({other}); {HOW_TO_REPLACE}")
    if record is not None and (changed := list(_changes(record, suite))):
        LOG.warning("%s will be replaced; it was run with %s", path, ", ".join(changed))
    _remove_reports(folder, record)
    _remove_points(folder / POINTS_FOLDER)
    if path.exists():
        path.replace(kept_aside(path))


def prepare_to_resume(folder: Path, run: RunIdentity, suite: SuiteFile) -> Record | None:
    """The record of a folder that a run is about to go on with, its reports removed; None if there is none.

    Raises:
        UsageError: the record cannot be read, or is of another run; what differs is said.
    """
    from stability.run.points.fit import refuse_other_suite, versions_of

    path = folder / RECORD_FILE
    if not path.exists():
        return None
    try:
        record = read_record(path)
    except RecordError as error:
        raise UsageError(f"{error}; {HOW_TO_REPLACE}") from error
    made = RunIdentity.of(record)
    # A suite may have been copied, and its editors and seeds are compared one by one.
    found = replace(run, suite=made.suite, model=made.model)
    if other := found.unlike(run):
        raise UsageError(f"cannot go on with {path}: it is of another run ({other}); {HOW_TO_REPLACE}")
    now = {name: metadata.version(name) for name in versions_of(record)}
    refuse_other_suite(path, record, suite, now)
    _remove_reports(folder, record)
    return record


def _remove_reports(folder: Path, record: Record | None) -> None:
    for name in report_files():
        (folder / name).unlink(missing_ok=True)
    if record is not None:
        _remove_figures(folder / FIGURES_FOLDER, record)


def _remove_points(folder: Path) -> None:
    """Remove the points of earlier runs; other files of the folder stay."""
    for file in folder.glob("*/*.safetensors"):
        file.unlink(missing_ok=True)
        with suppress(OSError):  # it is not empty
            file.parent.rmdir()
            folder.rmdir()


def prepare_horizon(folder: Path, run: RunIdentity, *, overwrite: bool = False, resume: bool = False) -> None:
    """Keep aside the horizon.json of an earlier search; what one has left that did not finish goes.

    With `resume` it stays, to be gone on with.

    Raises:
        UsageError: it is of another run, or cannot be read, and `overwrite` is false.
    """
    path = folder / HORIZON_FILE
    _check_horizon(path, run, overwrite=overwrite)
    if not resume:
        remove_search(folder)
    if path.exists():
        path.replace(kept_aside(path))


def search_folder(folder: Path) -> Path:
    """Where a search for the horizon leaves what it can be gone on with from."""
    return folder / POINTS_FOLDER / "horizon"


def remove_search(folder: Path) -> None:
    """Remove what a search has left: it has ended, or another one begins."""
    shutil.rmtree(search_folder(folder), ignore_errors=True)
    with suppress(OSError):  # it is not empty, or not there
        (folder / POINTS_FOLDER).rmdir()


def progress(record: Record) -> str:
    """How far the last run of a record came: `rome at seed 0, 10 edits`."""
    if not record.runs:
        return "nothing was edited"
    last = record.runs[-1]
    return f"{last.editor.name} at seed {last.seed}, {len(last.edits)} edits"


def kept_words(path: Path | None) -> str:
    """What a record on the disk holds of a run that could not write it any more."""
    try:
        kept = None if path is None else read_record(path)
    except RecordError:
        kept = None
    return f"kept is what was measured before: {progress(kept)}" if kept else "nothing of this run is kept"


def _record_at(path: Path, *, overwrite: bool) -> Record | None:
    if not path.exists():
        return None
    try:
        return read_record(path)
    except RecordError as error:
        if overwrite:
            return None
        raise UsageError(f"{error}; {HOW_TO_REPLACE}") from error


def _check_horizon(path: Path, run: RunIdentity, *, overwrite: bool) -> None:
    if overwrite or not path.exists():
        return
    try:
        found = RunIdentity.of_horizon(parse_json(read_text(path)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path}: cannot read the horizon: {error!r}; {HOW_TO_REPLACE}") from error
    if other := found.unlike(run):
        raise UsageError(f"{path} is of another run ({other}); {HOW_TO_REPLACE}")


def _is_another_file(before: Path | None, now: Path | None) -> bool:
    """Whether both are files, and different ones; one that is not there may have been moved."""
    if before is None or now is None or before == now or not (before.exists() and now.exists()):
        return False
    return not before.samefile(now)


def _changes(record: Record, suite: SuiteFile) -> Iterator[str]:
    """`run.edits.count: 20` for each value by which the record was made and that is another one now."""
    if record.gate is not None:
        return
    try:
        before = override(parse_suite(record.suite_text, is_recorded=True), overrides(record.replaced)).spec
    except UsageError:  # an older version's, which cannot be told from this one
        return
    old, new = (spec.model_dump(mode="json", exclude=CHECKS) for spec in (before, suite.spec))
    yield from _differences(old, new)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], *parents: str) -> Iterator[str]:
    for key in old.keys() & new.keys():
        before, now = old[key], new[key]
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _differences(before, now, *parents, key)
        elif before != now:
            yield f"{'.'.join([*parents, key])}: {before}"


def _remove_figures(folder: Path, record: Record) -> None:
    """Remove what `stability plot` writes for a record; other files of the folder stay."""
    if not folder.is_dir():
        return
    from stability.report.charts.figures import figure_names
    from stability.report.charts.files import file_stem

    editors = ["", *dict.fromkeys(run.editor.name for run in record.runs)]
    stems = {file_stem(editor, name, ()) for editor in editors for name in figure_names()}
    for file in folder.iterdir():
        if file.stem in stems and file.suffix in (".svg", ".png", ".pdf"):
            file.unlink()
