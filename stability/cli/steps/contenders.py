"""Gathering what `stability compare` puts side by side: every editor of several records, with its horizon."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stability.api import Suite
from stability.baselines import read_baseline
from stability.errors import RecordError
from stability.files import HORIZON_FILE, RECORD_FILE, record_path
from stability.judge import runs_by_editor
from stability.judge.side_by_side.editors import Contender, EditorComparison, KnownHorizon, compare_editors
from stability.reading import parse_json, read_text
from stability.record import Record
from stability.suite import SuiteSpec

MOST_EDITS = 1e15


def compare_runs(runs: Sequence[str | Path], suite: SuiteSpec | None = None) -> EditorComparison:
    """Put every editor of these records, or folders that hold one, beside the first.

    By the checks of a suite; without one, by those of the suite that made the first record.

    Raises:
        UsageError: there are fewer than two editors, or what they were measured on differs.
        RecordError: a record cannot be read.
    """
    records = {path: read_baseline(path) for path in (record_path(Path(run)) for run in runs)}
    by = suite or Suite.of(next(iter(records.values()))).file.spec
    return compare_editors(by, contenders(records))


def contenders(records: dict[Path, Record]) -> list[Contender]:
    """Every editor of every record, with a name that tells it from the others."""
    found = [(path, label, record) for path, record in records.items() for label in runs_by_editor(record)]
    labels = [label for _, label, _ in found]
    named: dict[str, Contender] = {}
    for path, label, record in found:
        name = label if labels.count(label) == 1 else f"{label} ({_origin(path)})"
        name = f"{label} ({path})" if name in named else name
        named[name] = Contender(name, record, label, horizon_beside(path, record, label))
    return list(named.values())


def _origin(path: Path) -> str:
    """Which record it is: its folder's name, or the file's own."""
    return path.resolve().parent.name if path.name == RECORD_FILE else path.stem


def horizon_beside(path: Path, record: Record, editor: str) -> KnownHorizon | None:
    """The editor's horizon, from a horizon.json beside the record; None where that is of something else.

    Raises:
        RecordError: there is such a file, and it cannot be read.
    """
    file = path.parent / HORIZON_FILE
    if not file.exists():
        return None
    try:
        content = parse_json(read_text(file))
        if (content["suite"], content["model"]) != (record.suite_name, record.model.name):
            return None
        entry = next((one for one in content["editors"] if one["editor"] == editor), None)
        if entry is None:
            return None
        least, most = entry.get("median_at", (None, None))  # a file of an earlier version has none
        return KnownHorizon(_edits(entry["median"]), _edits(entry["worst"]), (_edits(least), _edits(most)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{file}: cannot read the horizon: {error!r}") from error


def _edits(number: object) -> float | None:
    """A number of edits, or None where there is none; `ValueError` for anything else."""
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number < MOST_EDITS:
        raise ValueError(f"{number!r} is no number of edits")
    return number
