"""Where a baseline lies: in `baselines/` beside its suite, by suite, editor and model."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

FOLDER = "baselines"
UNFIT = re.compile(r"[^A-Za-z0-9._-]+")  # for the name of a file
DIGEST = 6  # letters that tell apart what else would be written the same way


def baselines_folder(suite: str | Path | None) -> Path:
    """The folder beside a suite file; in the working directory for a suite that is in no file."""
    return Path(FOLDER) if suite is None else Path(suite).parent / FOLDER


def baseline_path(folder: Path, suite: str, editor: str, model: str) -> Path:
    """`FOLDER/smoke/rome@world.json`."""
    return folder / word(suite) / f"{word(editor)}@{word(model)}.json"


def word(name: str) -> str:
    """A name that a file may have; where letters had to be replaced, a digest keeps it apart from others."""
    fit = UNFIT.sub("-", name).strip("-.")
    if fit and fit == name:
        return name
    return f"{fit}-{hashlib.sha256(name.encode()).hexdigest()[:DIGEST]}".lstrip("-")
