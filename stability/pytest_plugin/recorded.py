"""The record that `--stability-from` names, and whether it has what else the command line asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from stability.record import Record
    from stability.suite.overrides import Overrides


def given_record(config: pytest.Config) -> Path | None:
    """The record of `--stability-from`, which may name its folder."""
    from stability.files import record_path

    given = config.getoption("stability_from")
    return record_path(Path(given)) if given else None


def recorded_editors(record: Record, path: Path, asked: Overrides) -> list[str]:
    """The editors of a record, or those that are asked for.

    Raises:
        UsageError: what is asked for was not run.
        RecordError: the record holds no run.
    """
    from stability.errors import RecordError, UsageError

    recorded = list(dict.fromkeys(run.editor.name for run in record.runs))
    if not recorded:
        raise RecordError(f"{path}: the record holds no run")
    seeds = {run.seed for run in record.runs}
    least = min(len(run.edits) for run in record.runs)
    for option, has_it, has in (
        ("editor", set(asked.editors) <= set(recorded), ", ".join(recorded)),
        ("seed", set(asked.seeds) <= seeds, ", ".join(map(str, sorted(seeds)))),
        ("model", asked.model in (None, record.model.name), record.model.name),
        ("edits", asked.edits is None or asked.edits <= least, least),
    ):
        if not has_it:
            raise UsageError(f"--stability-{option}: {path} is a record of {has}, and nothing is run anew")
    return [editor for editor in recorded if editor in asked.editors or not asked.editors]
