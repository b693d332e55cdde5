"""Reading and writing run.json; a reader never sees half a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stability.errors import RecordError, with_type
from stability.files import kept_aside, write_whole
from stability.reading import UnreadableError, parse_json, read_text
from stability.record.record import Record
from stability.record.schema import SCHEMA_VERSION
from stability.record.upgrades import OLDEST, upgraded

NO_RECORD = (AttributeError, KeyError, TypeError, ValueError)  # raised by an upgrade if it is no record


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write text (as UTF-8) or bytes to `path` atomically, readable by everyone; creates the folder.

    Raises:
        RecordError: the folder cannot be created or written to, or `path` is a folder.
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
    """Read a run.json of this version's schema or an older one.

    Raises:
        RecordError: the file is missing, not JSON or not a record, or has a newer schema.
    """
    try:
        text = read_text(path)
    except (OSError, UnreadableError) as error:
        is_aside = not path.exists() and kept_aside(path).exists()
        hint = f"; {kept_aside(path).name} is of the run before" if is_aside else ""
        raise RecordError(f"{path}: cannot read the record: {error}{hint}") from error
    try:
        content = parse_json(text)
    except UnreadableError as error:
        line = "" if error.line is None else f":{error.line}"
        raise RecordError(f"{path}{line}: not JSON ({error}); was the file cut short?") from error
    check_schema(content, path)
    try:
        return Record.model_validate(upgraded(content))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RecordError(f"{path}: {where}: {first['msg']} ({error.error_count()} problems)") from error
    except NO_RECORD as error:
        schema = content["schema_version"]
        raise RecordError(f"{path}: no record of schema {schema}: {with_type(error)}") from error


def check_schema(content: Any, path: Path) -> None:
    """Check that this version can read a record's schema.

    Raises:
        RecordError: the record has no schema, or a newer one; then with the version that wrote it.
    """
    schema = content.get("schema_version") if isinstance(content, dict) else None
    if type(schema) is not int or schema < OLDEST:
        raise RecordError(
            f"{path}: record schema {schema!r}, this version reads {OLDEST} to {SCHEMA_VERSION}"
        )
    if schema > SCHEMA_VERSION:
        wrote = content.get("harness_version")
        needed = f"{wrote} of stability-harness or a later one" if isinstance(wrote, str) else "a later one"
        raise RecordError(
            f"{path}: record schema {schema} is newer than this version reads ({OLDEST} to "
            f"{SCHEMA_VERSION}); install version {needed}"
        )
