"""What the tests of the kit share: the broken editors, and one folder for what editors keep."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from stability.editors import Store

FILE = Path(__file__).with_name("broken.py")


@pytest.fixture(scope="session")
def broken() -> ModuleType:
    """The module of broken editors, imported once."""
    spec = importlib.util.spec_from_file_location("broken_editors", FILE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def store(shared_store: Store) -> Store:
    return shared_store
