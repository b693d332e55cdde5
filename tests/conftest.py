"""What tests of several parts share."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from stability.editors import Store
from tests.processes import programs

# `make test` draws the same examples each day; `make torture` (--hypothesis-profile=torture) new ones, and many.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("torture", derandomize=False, deadline=None, max_examples=1_000, print_blob=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def plain_sessions() -> Iterator[None]:
    """Sessions of pytest that tests start are in order and without second tries, if not said otherwise."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("PYTEST_ADDOPTS", "-p no:randomly -p no:rerunfailures")
        yield


@pytest.fixture(scope="session", autouse=True)
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """What is worked out on unedited models, once for all tests of a run and all its workers.

    Where a test, or a command that it starts, names no other folder, this is its cache.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # whose folders stand beside each other
        folder = folder.parent
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("STABILITY_CACHE", str(folder / "shared-store"))
        yield Store()


@pytest.fixture(scope="session")
def commands() -> Iterator[Path]:
    """A folder with `stability` and `pytest`, which start at once; `tests.processes` says how."""
    with programs("stability", "pytest") as folder:
        yield folder


@pytest.fixture(scope="session")
def stability_command(commands: Path) -> str:
    """A program to call as `stability`."""
    return str(commands / "stability")


@pytest.fixture(scope="session")
def import_file() -> Callable[[Path], ModuleType]:
    """Imports a module of the tests by its path: the folders here are no packages."""

    def load(path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"tests_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def records(import_file: Callable[[Path], ModuleType]) -> ModuleType:
    """The builder of synthetic records, judge/records.py."""
    return import_file(Path(__file__).parent / "judge" / "records.py")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, str], None]]:
    """Installs a package of one module: its name, its code, and what its entry_points.txt says."""
    modules: list[str] = []

    def put(name: str, code: str, entry_points: str) -> None:
        site = tmp_path / f"site-of-{name}"
        info = site / f"{name}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(entry_points)
        (site / f"{name}.py").write_text(code)
        monkeypatch.syspath_prepend(str(site))
        modules.append(name)

    yield put
    for name in modules:
        sys.modules.pop(name, None)
