"""Where the store lies and how large it may become, as the environment says it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from stability.errors import UsageError

FOLDER, BOUND = "STABILITY_CACHE", "STABILITY_CACHE_SIZE"  # variables of the environment
USUAL_BOUND = "20GiB"
UNITS = {"B": 1, **{f"{prefix}{unit}": base**power for base, unit in ((1000, "B"), (1024, "iB"))
                    for power, prefix in enumerate("KMGT", start=1)}}  # fmt: skip
SIZE = re.compile(rf"(\d{{1,15}}(?:\.\d{{1,6}})?) ?({'|'.join(UNITS)})")


def default_folder() -> Path:
    """STABILITY_CACHE if it is set, else ~/.cache/stability."""
    return Path(os.environ.get(FOLDER) or "~/.cache/stability").expanduser()


def bound() -> int:
    """How many bytes the store may hold: STABILITY_CACHE_SIZE if it is set, else 20 GiB.

    Raises:
        UsageError: the variable is no size.
    """
    try:
        return parse_size(os.environ.get(BOUND) or USUAL_BOUND)
    except ValueError as error:
        raise UsageError(f"{BOUND}: {error}") from error


def parse_size(text: str) -> int:
    """`20GiB`, `1.5 GB` or `0` as a number of bytes.

    Raises:
        ValueError: it is none.
    """
    if text.strip() == "0":
        return 0
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"cannot read the size {text!r}; write a number and one of {', '.join(UNITS)}")
    return int(float(found[1]) * UNITS[found[2]])


def in_words(size: int) -> str:
    """A size for people: `3.4 MiB`."""
    value, units = float(size), ("KiB", "MiB", "GiB", "TiB")
    if size < 1024:
        return f"{size} B"
    for unit in units:
        value /= 1024
        if value < 1024 or unit == units[-1]:
            break
    return f"{value:.3g} {unit}" if value < 999.5 else f"{value:.0f} {unit}"
