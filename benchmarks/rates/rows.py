"""A table whose rows are two dataclasses each, a case and what was found of it, as a file."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import MISSING, Field, astuple, fields
from pathlib import Path
from typing import Any, TypeVar

Made = TypeVar("Made")
PARSE = {"int": int, "float": float}  # by the type in a field's annotation; other fields are text


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows by column; none if there is no file yet."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def of_row(kind: type[Made], row: Mapping[str, str]) -> Made:
    """The dataclass of a row; a column that the file lacks has its default."""
    columns: Any = kind
    return kind(**{field.name: parsed(field, row.get(field.name)) for field in fields(columns)})


def parsed(field: Field[Any], text: str | None) -> Any:
    """A field's value."""
    if text is None:
        assert field.default is not MISSING, f"the file has no column {field.name}"
        return field.default
    return PARSE.get(str(field.type), str)(text)


def write_rows(path: Path, rows: Mapping[Any, Any]) -> None:
    """All rows, in their order; the file is whole or as it was."""
    whole = path.with_suffix(".part")
    with whole.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            field.name for pair in list(rows.items())[:1] for one in pair for field in fields(one)
        )
        writer.writerows((*astuple(case), *astuple(found)) for case, found in rows.items())
    whole.replace(path)
