"""What tests of several parts share."""

from __future__ import annotations

import os

import pytest

from stability.editors import Store


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """What editors compute on the unedited built-in model, once for all tests of a run and all its workers."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # whose folders stand beside each other
        folder = folder.parent
    return Store(folder / "shared-store")
