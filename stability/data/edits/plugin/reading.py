"""Edit requests of a JSON list or JSONL file, each in whatever form it is in."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from stability.data.edits.plugin.edit import Edit
from stability.errors import DataError
from stability.parts import EDIT_FORMS

logger = logging.getLogger(__name__)

Form = Callable[[Mapping[str, Any], int], Edit | None]
"""A function with a head: the edit of an entry and its number, None where the entry asks for nothing."""


def read_edits(path: Path) -> list[Edit]:
    """All edits of a JSON list or JSONL file, in its order; ids must differ.

    Raises:
        DataError: the file cannot be read, or an entry is none that asks for an edit.
    """
    entries = _read_entries(path)
    edits: list[Edit] = []
    for number, entry in enumerate(entries):
        try:
            edit = parse_edit(entry, number)
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        if edit is None:
            logger.warning("%s: edit %d has an empty target; left out", path, number)
        else:
            edits.append(edit)
    seen: set[str] = set()
    for edit in edits:
        if edit.id in seen:
            raise DataError(f"{path}: two edits have the id {edit.id!r}")
        seen.add(edit.id)
    return edits


def parse_edit(entry: Any, number: int) -> Edit | None:
    """Read one entry, whatever its form; None where its target is empty.

    Raises:
        DataError: it has none of the forms, or a field of the wrong kind.
    """
    if not isinstance(entry, Mapping):
        raise DataError(f"edit {number} is a {type(entry).__name__}, not a mapping of fields")
    for part in EDIT_FORMS.built_in().values():
        if part.head.fields <= entry.keys() and not part.head.without & entry.keys():
            try:
                return cast(Form, part.made)(entry, number)
            except (KeyError, TypeError) as error:
                raise DataError(f"edit {number}: a field is missing or of the wrong kind: {error}") from error
    raise DataError(
        f"edit {number} has the fields {', '.join(sorted(map(str, entry)))}; expected prompt, subject "
        "and target, or the fields of CounterFact or zsRE as published"
    )


def _read_entries(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot read the edits: {error}") from error
    try:
        if text.lstrip().startswith("["):
            entries = json.loads(text)
        else:
            entries = []
            for number, line in enumerate(text.splitlines(), start=1):
                if line.strip():
                    try:
                        entries.append(json.loads(line))
                    except json.JSONDecodeError as error:
                        raise DataError(f"{path}:{number}: not JSON: {error.msg}") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON: {error.msg}") from error
    if not entries:
        raise DataError(f"{path}: holds no edits")
    return list(entries)
