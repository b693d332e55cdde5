"""The path of a baseline: in `baselines/` beside its suite, by suite, editor and model."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

FOLDER = "baselines"
UNFIT = re.compile(r"[^A-Za-z0-9._-]+")  # not allowed in a file's name
DIGEST = 6  # hex digits, to distinguish names that would otherwise give the same file


def baselines_folder(suite: str | Path | None) -> Path:
    """The folder beside a suite file, or in the working directory for a suite without a file."""
    return Path(FOLDER) if suite is None else Path(suite).parent / FOLDER


def baseline_path(folder: Path, suite: str, editor: str, model: str) -> Path:
    """`FOLDER/smoke/rome@world.json`."""
    return folder / word(suite) / f"{word(editor)}@{word(model)}.json"


def word(name: str) -> str:
    """The name as part of a file's name; if characters had to be replaced, a digest makes it unique."""
    fit = UNFIT.sub("-", name).strip("-.")
    if fit and fit == name:
        return name
    return f"{fit}-{hashlib.sha256(name.encode()).hexdigest()[:DIGEST]}".lstrip("-")
