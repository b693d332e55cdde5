"""Reading and writing run.json; a reader never sees half a file."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from stability.errors import RecordError
from stability.files import write_whole
from stability.record.schema import SCHEMA_VERSION, Record


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a text, as UTF-8, or bytes to `path`, whole, for everyone to read; its folder is made.

    Raises:
        RecordError: the folder cannot be made, takes no file, or holds a folder of that name.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content, mode=0o644)
    except OSError as error:
        reason = error.strerror or error
        raise RecordError(f"{path}: cannot be written: {reason}; choose another place") from error


def write_record(record: Record, path: Path) -> None:
    """Write the record as JSON, atomically."""
    write_atomically(path, record.model_dump_json(indent=1, exclude_defaults=False) + "\n")


def read_record(path: Path) -> Record:
    """Read a run.json.

    Raises:
        RecordError: the file is missing, is not JSON, or was written by another schema.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot read the record: {error}") from error
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise RecordError(
            f"{path}:{error.lineno}: not JSON ({error.msg}); was the file cut short?"
        ) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise RecordError(f"{path}: record schema {version!r}, this version reads {SCHEMA_VERSION}")
    try:
        return Record.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(f"{path}: {where}: {first['msg']} ({error.error_count()} problems)") from error
