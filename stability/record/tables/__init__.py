"""The figures of a record as tables: columns of plain values.

    readings    one row for each editor, seed, checkpoint, metric and key
    edits       one row for each edit that was made, with how the model answered right after it
    documents   one row for each document of a task, at every checkpoint
    runs        one row for each editor and seed: its settings, its outcome, and its times

The unedited model was measured once, and has rows at 0 edits in every run, so that each curve begins there.
In a record without runs it has one set of rows, without an editor. `editor` is the same label as in verdicts:
`rome (2)` for a second set of settings. None means that a column does not apply; NaN is a measured value.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stability.record.schema import RecordFields
    from stability.record.tables.columns import Table

__all__ = ["TableName", "table"]


class TableName(StrEnum):
    """The tables that a record has."""

    readings = "readings"
    edits = "edits"
    documents = "documents"
    runs = "runs"


def table(record: RecordFields, name: TableName) -> Table:
    """One of a record's tables."""
    from stability.record.tables.documents import documents
    from stability.record.tables.edits import edits
    from stability.record.tables.readings import readings
    from stability.record.tables.runs import runs

    makers = {
        TableName.readings: readings,
        TableName.edits: edits,
        TableName.documents: documents,
        TableName.runs: runs,
    }
    return makers[name](record)
