import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from stability.errors import TrackerError, UsageError
from stability.parts import TRACKERS
from stability.trackers import log_runs, open_tracker
from stability.trackers.steps.tracker import environment

ROOT = Path(__file__).parents[2]


def test_a_tracker_is_found_by_its_head_and_its_own_package_is_not_asked_for():
    code = (
        "import sys; sys.modules['mlflow'] = sys.modules['wandb'] = None\n"
        "from stability.parts import TRACKERS\n"
        "assert TRACKERS.names() == ('mlflow', 'wandb'), TRACKERS.names()\n"
        "assert not {'torch', 'scipy', 'matplotlib'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("tracker", TRACKERS.built_in())
def test_a_tracker_whose_own_parts_are_missing_is_not_called_missing_itself(tracker):
    part = replace(TRACKERS.built_in()[tracker], made=lambda project: import_module("no_such_part"))
    with pytest.raises(ModuleNotFoundError, match="no_such_part"):
        open_tracker(part, "any")


def test_a_tracker_that_is_not_installed_says_how_it_is(monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match=r"^--to wandb: wandb is not installed; pip install 'stability-"):
        open_tracker(TRACKERS.built_in()["wandb"], "any")


OTHER = """
from stability.parts import TrackerHead

class Notebook:
    head = TrackerHead("notebook", "a text file", project_variable="NOTEBOOK", environment=(("QUIETLY", "1"),))

    def __init__(self, project):
        self.file = project + ".txt"

    def log(self, run, name, artifacts):
        import os
        with open(self.file, "a") as stream:
            stream.write(name + " " + os.environ["QUIETLY"] + chr(10))
        return self.file

class Torn(Notebook):
    def log(self, run, name, artifacts):
        raise OSError("no more pages")

class Headless:
    pass
"""


@pytest.fixture
def other_package(tmp_path, monkeypatch):
    """A package with two trackers and something that is none, installed in a folder."""
    (tmp_path / "notebook_tracker.py").write_text(OTHER)
    info = tmp_path / "notebook_tracker-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: notebook-tracker\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[stability.trackers]\nnotebook = notebook_tracker:Notebook\ntorn = notebook_tracker:Torn\n"
        "headless = notebook_tracker:Headless\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("notebook_tracker", None)


def test_a_tracker_of_another_package_is_given_the_same_runs(other_package, two_runs, monkeypatch):
    monkeypatch.setenv("NOTEBOOK", "mine")
    assert log_runs(two_runs, "notebook", name="nightly") == ["mine.txt", "mine.txt"]
    assert (other_package / "mine.txt").read_text() == "".join(f"nightly {run.name} 1\n" for run in two_runs)
    assert "QUIETLY" not in os.environ


def test_what_a_tracker_of_another_package_raises_is_one_line(other_package, two_runs):
    with pytest.raises(
        TrackerError, match=r"^tracker torn: logging memit seed 0 failed at .*: no more pages$"
    ):
        log_runs(two_runs, "torn")


def test_a_tracker_without_a_head_and_an_unknown_one_are_refused(other_package, two_runs):
    with pytest.raises(
        TrackerError, match=r"headless \(entry point of notebook-tracker\): .* no TrackerHead"
    ):
        log_runs(two_runs, "headless")
    with pytest.raises(UsageError, match=r"no tracker is called 'paper'; there are .*mlflow, notebook"):
        log_runs(two_runs, "paper")


def test_every_tracker_has_an_extra_of_its_name_that_developers_have():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (own,) = [line for line in extras["dev"] if line.startswith("stability-harness[")]
    for tracker in TRACKERS.built_in():
        assert extras[tracker]
        assert tracker in own


def test_nothing_is_imported_or_changed_before_something_is_logged():
    code = (
        "import os, sys\n"
        "for name in [name for name in os.environ if name.startswith(('MLFLOW', 'WANDB'))]: del os.environ[name]\n"
        "import stability.cli, stability.trackers.steps.series\n"
        "assert not {'mlflow', 'wandb', 'pandas', 'pyarrow', 'torch'} & sys.modules.keys()\n"
        "assert not [name for name in os.environ if name.startswith(('MLFLOW', 'WANDB'))]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_word_of_ones_own_use_is_sent_only_if_one_says_so(monkeypatch):
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "true")
    before = dict(os.environ)
    quiet = {key: value for part in TRACKERS.built_in().values() for key, value in part.head.environment}
    with environment(quiet):
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
        assert os.environ["WANDB_ERROR_REPORTING"] == "true"
    assert dict(os.environ) == before


def test_without_a_run_no_tracker_is_opened():
    assert log_runs([], "mlflow") == []
