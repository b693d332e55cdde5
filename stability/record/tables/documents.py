"""One row for each document of a task, at every checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stability.record.schema import RecordFields, TaskResult
from stability.record.tables.columns import RUN, Kind, Row, Table, walks

DOCUMENTS: dict[str, Kind] = {
    **RUN,
    "edits": "count",
    "metric": "text",
    "task": "text",
    "score": "text",
    "doc_id": "integer",
    "gold": "integer",
    "predicted": "integer",
    "value": "number",
}


def documents(record: RecordFields) -> Table:
    """The expected result and the model's result of each document: a class or choice, or a number."""
    columns: dict[str, list[Any]] = {name: [] for name in DOCUMENTS}
    for of_run, points in walks(record):
        for point in points:
            for metric, reading in point.readings.items():
                for task, result in reading.tasks.items():
                    of_all = (*of_run, point.edits, metric, task, result.metric)
                    _add_documents(columns, of_all, result)
    return Table(DOCUMENTS, columns)


def _add_documents(columns: Mapping[str, list[Any]], of_all: Row, result: TaskResult) -> None:
    """Add all documents of a task at once: a benchmark has tens of thousands of them at each checkpoint."""
    of_each = (result.doc_ids, result.gold, result.predicted, result.values)
    count = max(map(len, of_each))
    whole, single = list(columns.values())[: len(of_all)], list(columns.values())[len(of_all) :]
    for column, value in zip(whole, of_all, strict=True):
        column.extend([value] * count)
    for column, values in zip(single, of_each, strict=True):
        column.extend(values)
        column.extend([None] * (count - len(values)))
