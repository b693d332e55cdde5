from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def records() -> ModuleType:
    """The builder of synthetic records that the judge's tests use, too."""
    path = Path(__file__).parents[1] / "judge" / "records.py"
    spec = importlib.util.spec_from_file_location("synthetic_records", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
