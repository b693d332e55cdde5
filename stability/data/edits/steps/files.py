"""Edits of a file: one that the user names, or one below the folder STABILITY_DATA."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from random import Random

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.plugin.load import enough
from stability.data.edits.plugin.reading import read_edits
from stability.errors import DataError


def shuffled(path: Path, count: int, seed: int) -> tuple[Edit, ...]:
    """The edits of a file, `count` or more, in the order that the seed gives.

    Raises:
        DataError: the file cannot be read, or holds too few.
    """
    edits = read_edits(path)
    Random(f"edits-{seed}").shuffle(edits)
    return enough(edits, count, str(path))


def data_file(source: str, names: Sequence[str]) -> Path:
    """The first of these files that is there, below STABILITY_DATA.

    Raises:
        DataError: the variable is not set, or none of them is there.
    """
    root = os.environ.get("STABILITY_DATA")
    if not root:
        raise DataError(f"edits {source!r}: set STABILITY_DATA to a folder that holds {names[0]}")
    for name in names:
        if (path := Path(root, name)).is_file():
            return path
    raise DataError(f"edits {source!r}: none of {', '.join(names)} is in STABILITY_DATA={root}")
