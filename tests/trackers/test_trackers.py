import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from stability.trackers import QUIET, TrackerName, environment, log_runs, open_tracker

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("tracker", list(TrackerName))
def test_a_tracker_whose_own_parts_are_missing_is_not_called_missing_itself(monkeypatch, tracker):
    monkeypatch.setitem(sys.modules, "stability.report.steps.wording", None)
    monkeypatch.delitem(sys.modules, f"stability.trackers.{tracker}", raising=False)
    with pytest.raises(ModuleNotFoundError, match="wording"):
        open_tracker(tracker, "any")


def test_every_tracker_has_an_extra_of_its_name_that_developers_have():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (own,) = [line for line in extras["dev"] if line.startswith("stability-harness[")]
    for tracker in TrackerName:
        assert extras[tracker]
        assert tracker in own


def test_nothing_is_imported_or_changed_before_something_is_logged():
    code = (
        "import os, sys\n"
        "for name in [name for name in os.environ if name.startswith(('MLFLOW', 'WANDB'))]: del os.environ[name]\n"
        "import stability.cli, stability.trackers.series\n"
        "assert not {'mlflow', 'wandb', 'pandas', 'pyarrow', 'torch'} & sys.modules.keys()\n"
        "assert not [name for name in os.environ if name.startswith(('MLFLOW', 'WANDB'))]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_word_of_ones_own_use_is_sent_only_if_one_says_so(monkeypatch):
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "true")
    before = dict(os.environ)
    with environment(QUIET):
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
        assert os.environ["WANDB_ERROR_REPORTING"] == "true"
    assert dict(os.environ) == before


def test_without_a_run_no_tracker_is_opened():
    assert log_runs([], TrackerName.mlflow) == []
