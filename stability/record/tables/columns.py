"""The table class, and what all tables of a record share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stability.record.labels import runs_by_editor
from stability.record.schema import Checkpoint, RecordFields, Run

Kind = Literal["text", "count", "integer", "number", "truth"]  # a count is an integer that is never missing
Row = tuple[Any, ...]

RUN: dict[str, Kind] = {"suite": "text", "model": "text", "editor": "text", "seed": "integer"}


@dataclass(frozen=True)
class Table:
    """Columns of equal length by name, with the kind of values in each; a missing value is None."""

    kinds: Mapping[str, Kind]
    columns: Mapping[str, Sequence[Any]]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values())))

    @property
    def empty(self) -> Table:
        """The same columns without any rows."""
        return Table(self.kinds, {name: [] for name in self.columns})


def of_rows(kinds: Mapping[str, Kind], rows: Sequence[Row]) -> Table:
    """The table of these rows; the values of a row are in the order of the kinds."""
    columns = zip(*rows, strict=True) if rows else ([] for _ in kinds)
    return Table(kinds, dict(zip(kinds, columns, strict=True)))


def labelled(record: RecordFields) -> Iterator[tuple[Row, Run]]:
    """Every run, with the columns that identify it in each table."""
    for label, runs in runs_by_editor(record).items():
        for run in runs:
            yield (record.suite_name, record.model.name, label, run.seed), run


def walks(record: RecordFields) -> Iterator[tuple[Row, Sequence[Checkpoint]]]:
    """The checkpoints of every run, beginning with the unedited model; only that if there is no run."""
    if not record.runs:
        yield (record.suite_name, record.model.name, None, None), (record.base,)
    for of_run, run in labelled(record):
        yield of_run, (record.base, *run.checkpoints)


def names_in(figures: Iterable[Mapping[str, float]]) -> list[str]:
    """Every name, in the order of first use."""
    return list(dict.fromkeys(name for each in figures for name in each))


def numbers(group: str, names: Iterable[str]) -> dict[str, Kind]:
    """A column of numbers for each name."""
    return {f"{group}.{name}": "number" for name in names}
