"""The editor that drifts, for the guard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def drifting(import_file: Callable[[Path], ModuleType]) -> ModuleType:
    """The editor that drifts and its stream of edits, drifting.py in this folder."""
    return import_file(Path(__file__).with_name("drifting.py"))
