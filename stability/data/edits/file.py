"""Edits of a file of one's own."""

from __future__ import annotations

from pathlib import Path

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.steps.files import shuffled
from stability.errors import DataError
from stability.parts import SourceHead, part
from stability.suite import EditsSpec


@part(
    SourceHead("file", "a JSON or JSONL file in our form or a published one; needs 'path'", takes_path=True)
)
def file(spec: EditsSpec, seed: int) -> tuple[Edit, ...]:
    """The edits of the file at `path`."""
    if spec.path is None:
        raise DataError("edits 'file': needs 'path', a JSON or JSONL file of edits")
    return shuffled(Path(spec.path), spec.count, seed)
