"""Edit requests by name: the built-in world, CounterFact, zsRE, or a file."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from random import Random
from typing import Any

from stability.data.edits.edit import Edit
from stability.data.edits.forms import parse_edit
from stability.data.edits.world import world_edits
from stability.errors import DataError
from stability.suite import EditsSpec

logger = logging.getLogger(__name__)

DATA_FILES = {  # below STABILITY_DATA, the first that is there
    "counterfact": (
        "counterfact/counterfact.json",
        "counterfact/flat_10000.json",
        "counterfact/full_100.json",
    ),
    "zsre": ("zsre/zsre_mend_eval.json", "zsre/mend_1000.json"),
}
EDIT_SOURCES = {
    "world": "the built-in world's facts, each with another object",
    "counterfact": "CounterFact, from STABILITY_DATA/counterfact/*.json",
    "zsre": "zsRE, from STABILITY_DATA/zsre/*.json",
    "file": "a JSON or JSONL file in our form, CounterFact's or zsRE's; needs 'path'",
    "world_examined": "the world's edits of subjects that no run edits: for editors that learn beforehand",
}


def load_edits(spec: EditsSpec, seed: int) -> tuple[Edit, ...]:
    """The first `spec.count` edits of the source in the order that the seed gives.

    Raises:
        DataError: the source or file is unknown, unreadable, or holds too few edits.
    """
    if spec.path is None and spec.source == "world":
        return _enough(world_edits(seed), spec.count, "the built-in world")
    if spec.path is None and spec.source == "world_examined":
        return _enough(world_edits(seed, examined=True), spec.count, "the built-in world's examined part")
    path = Path(spec.path) if spec.path is not None else _data_file(spec.source)
    edits = read_edits(path)
    Random(f"edits-{seed}").shuffle(edits)
    return _enough(tuple(edits), spec.count, str(path))


def read_edits(path: Path) -> list[Edit]:
    """All edits of a JSON list or JSONL file, in its order; ids must differ."""
    entries = _read_entries(path)
    edits: list[Edit] = []
    for number, entry in enumerate(entries):
        if isinstance(entry, dict) and entry.get("alt") == "":  # zsRE as published has some
            logger.warning("%s: edit %d has an empty target; left out", path, number)
            continue
        try:
            edits.append(parse_edit(entry, number))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
    seen: set[str] = set()
    for edit in edits:
        if edit.id in seen:
            raise DataError(f"{path}: two edits have the id {edit.id!r}")
        seen.add(edit.id)
    return edits


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


def _data_file(source: str) -> Path:
    if source not in DATA_FILES:
        known = ", ".join(EDIT_SOURCES)
        raise DataError(f"no edits are called {source!r}; known: {known}; or give a file with 'path'")
    root = os.environ.get("STABILITY_DATA")
    if not root:
        raise DataError(
            f"edits {source!r}: set STABILITY_DATA to a folder that holds {DATA_FILES[source][0]}"
        )
    for name in DATA_FILES[source]:
        if (path := Path(root, name)).is_file():
            return path
    raise DataError(f"edits {source!r}: none of {', '.join(DATA_FILES[source])} is in STABILITY_DATA={root}")


def _enough(edits: tuple[Edit, ...], count: int, origin: str) -> tuple[Edit, ...]:
    if len(edits) < count:
        raise DataError(f"{origin} holds {len(edits)} edits, the run asks for {count}; lower run.edits.count")
    return edits[:count]
