"""Text of a file of one's own."""

from __future__ import annotations

import re
from pathlib import Path

from stability.errors import DataError
from stability.parts import SourceHead, part
from stability.reading import read_text

BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")  # white space counts as nothing, as in raw WikiText


@part(
    SourceHead(
        "file", "a UTF-8 text file, its documents parted by blank lines; needs 'path'", takes_path=True
    )
)
def file(path: str | None = None) -> tuple[str, ...]:
    """The documents of the file at `path`."""
    if path is None:
        raise DataError("text source 'file' needs 'path', a UTF-8 text file")
    try:
        content = read_text(Path(path), "utf-8-sig")  # a byte order mark is not text
    except (OSError, ValueError) as error:  # a ValueError is a NUL in the path, too
        raise DataError(f"{path}: cannot read it as UTF-8 text: {error}") from error
    documents = tuple(piece.strip() for piece in BLANK_LINES.split(content) if piece.strip())
    if not documents:
        raise DataError(f"{path}: holds no text")
    return documents
