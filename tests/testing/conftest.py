"""What the tests of the kit share: the broken editors, and one folder for what editors keep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from stability.editors import Store


@pytest.fixture(scope="session")
def broken(import_file: Callable[[Path], ModuleType]) -> ModuleType:
    """The module of broken editors, imported once."""
    return import_file(Path(__file__).with_name("broken.py"))


@pytest.fixture(scope="session")
def store(shared_store: Store) -> Store:
    return shared_store
