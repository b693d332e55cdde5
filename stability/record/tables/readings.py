"""One row for each editor, seed, checkpoint, metric and key."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import chain

from stability.record.problem import Problem
from stability.record.schema import Checkpoint, Matrix, Reading, RecordFields, TaskResult
from stability.record.tables.columns import RUN, Kind, Row, Table, of_rows, walks

LONGEST_INDEX = 9  # digits of a block's number; anything longer is a name
READINGS: dict[str, Kind] = {
    **RUN,
    "edits": "count",
    "metric": "text",
    "over": "text",
    "key": "text",
    "layer": "integer",
    "other_layer": "integer",
    "kind": "text",
    "value": "number",
    "unit": "text",
    "base": "number",
    "ratio": "number",
    "score": "text",
    "documents": "integer",
    "chance": "number",
    "truncated": "integer",
    "reason": "text",
}


def readings(record: RecordFields) -> Table:
    """`base` is the unedited model's value of the same key, `ratio` the value divided by it, if there is one.

    `layer` is set for matrices and layers, and `other_layer` for pairs; `score`, `documents`, `chance` and
    `truncated` for tasks. `reason` says why a value is missing or does not count.
    """
    matrices = {matrix.name: matrix for matrix in record.model.matrices}
    base = {**record.base.readings, **record.base.costs}
    unedited = list(_of_checkpoint(record.base, base, matrices))
    rows: list[Row] = []
    for of_run, points in walks(record):
        for point in points:
            found = unedited if point is record.base else _of_checkpoint(point, base, matrices)
            rows.extend((*of_run, *row) for row in found)
    return of_rows(READINGS, rows)


def _of_checkpoint(
    point: Checkpoint, base: Mapping[str, Reading], matrices: Mapping[str, Matrix]
) -> Iterator[Row]:
    """A row for each measured value, and one without a value for each metric and key not measured."""
    for metric, reading in chain(point.readings.items(), point.costs.items()):
        for row in _of_reading(reading, base.get(metric), matrices):
            yield (point.edits, metric, *row)
    blank = (None,) * (len(READINGS) - len(RUN) - 3)
    for metric, reason in chain(point.errors.items(), point.skipped.items()):
        yield (point.edits, metric, *blank, reason.message)


def _of_reading(reading: Reading, base: Reading | None, matrices: Mapping[str, Matrix]) -> Iterator[Row]:
    references = {} if base is None else base.values
    keys = dict.fromkeys(chain(reading.values, reading.base, reading.tasks, reading.left_out))
    for key in keys:
        value = reading.values.get(key)
        reference = reading.base.get(key, references.get(key))
        yield (
            reading.over,
            key,
            *_place(reading.over, key, matrices),
            value,
            reading.unit,
            reference,
            _ratio(value, reference),
            *_about_task(reading.tasks.get(key)),
            _words(reading.left_out.get(key)),
        )


def _place(over: str, key: str, matrices: Mapping[str, Matrix]) -> tuple[int | None, int | None, str | None]:
    """The block, the other block of a pair, and the kind of matrix."""
    if over in ("matrix", "parameter") and key in matrices:
        return matrices[key].layer, None, matrices[key].kind
    if over == "layer":
        return _block(key), None, None
    if over == "pair":
        first, _, second = key.partition("-")
        return _block(first), _block(second), None
    return None, None, None


def _block(key: str) -> int | None:
    return int(key) if key.isascii() and key.isdigit() and len(key) <= LONGEST_INDEX else None


def _ratio(value: float | None, reference: float | None) -> float | None:
    if value is None or not reference or not math.isfinite(reference):
        return None
    return value / reference


def _words(problem: Problem | None) -> str | None:
    return None if problem is None else problem.message


def _about_task(result: TaskResult | None) -> tuple[str | None, int | None, float | None, int | None]:
    """lm-eval's name of the score, and the numbers of documents, a guess's score, and truncated documents."""
    return (result.metric, result.n, result.chance, result.truncated) if result else (None,) * 4
