"""Runs are logged by a real W&B that is offline, and read back from the file that it would send."""

from pathlib import Path

import pytest
import wandb

from stability.errors import TrackerError, UsageError
from stability.trackers import log_runs


@pytest.fixture
def written(import_file, here):
    """What stands in the one file that W&B wrote, as soon as its own process has ended."""

    def read():
        wandb.teardown()
        return import_file(Path(__file__).parent / "offline.py").read_offline(here)

    return read


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder in which W&B is offline, and keeps all that it writes."""
    for name in ("WANDB_PROJECT", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    wandb.teardown()  # it reads the environment once in a process


def known(content):
    """What is not W&B's own."""
    return {name: value for name, value in content.items() if not name.startswith("_")}


def test_every_curve_is_read_back_beside_its_number_of_edits(here, written, two_runs):
    log_runs(two_runs[:1], "wandb")
    run = written()
    expected = two_runs[0].points
    assert [row["edits"] for row in run.history] == list(expected)
    for row, values in zip(run.history, expected.values(), strict=True):
        curves = {"/".join(key): value for key, value in values.items()}
        assert known(row) == pytest.approx({"edits": row["edits"], **curves}, rel=1e-12)


def test_config_verdicts_and_results_are_read_back(here, written, two_runs):
    log_runs(two_runs[:1], "wandb")
    run = written()
    assert known(run.config) == two_runs[0].parameters
    for (name, *task), status in two_runs[0].verdicts.items():
        assert run.summary["/".join(["verdict", name, *task])] == status
    assert run.summary["verdict"] == "fail"
    assert run.summary["held_to"] == two_runs[0].results["held_to",]
    assert (run.name, run.group, run.project) == ("memit seed 0", "memit", "norm-growth")
    assert run.tags == ("norm-growth", "memit", "fail")
    assert run.exit_code == 0


def test_nothing_of_the_machine_that_logs_stands_in_the_run(here, written, two_runs):
    log_runs(two_runs[:1], "wandb")
    assert not {"stats", "environment", "output", "output_raw"} & written().kinds


def test_files_and_folders_are_one_artifact(here, written, two_runs):
    (here / "run.json").write_text("{}")
    (here / "figures").mkdir()
    (here / "figures" / "norms.svg").write_text("<svg/>")
    log_runs(two_runs[:1], "wandb", artifacts=[here / "run.json", here / "figures"])
    assert written().files == {"run.json": 2, "figures/norms.svg": 6}


def test_each_run_is_a_run_of_its_own_and_says_where_it_is(here, two_runs, monkeypatch):
    monkeypatch.setenv("WANDB_RUN_ID", "one-for-all")
    places = log_runs(two_runs, "wandb", name="nightly")
    folders = [Path(place.removesuffix(" (offline; wandb sync sends it)")) for place in places]
    assert len(set(folders)) == 2
    assert all(list(folder.glob("*.wandb")) for folder in folders)


def test_names_of_a_hostile_record_are_mapped_and_none_is_lost(here, written, hostile):
    (here / "run.json").write_text("{}")
    log_runs([hostile], "wandb", artifacts=[here / "run.json"])
    run = written()
    keys = {key for values in hostile.points.values() for key in values}
    assert len({name for row in run.history for name in known(row)}) == len(keys) + len({"edits"})
    names = [*run.history[-1], *run.summary]
    assert all(name.isprintable() and name.isascii() for name in names)
    assert all(0 < len(tag) <= 64 for tag in run.tags)
    assert not set("/\\#?%:") & set(run.project)
    assert run.exit_code == 1


def test_a_project_comes_from_the_command_or_else_from_the_environment(here, written, two_runs, monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "from-the-environment")
    log_runs(two_runs[:1], "wandb")
    assert written().project == "from-the-environment"


def test_without_a_key_it_is_one_line_that_says_what_to_do(here, two_runs, monkeypatch):
    monkeypatch.delenv("WANDB_MODE")
    monkeypatch.setenv("NETRC", str(here / "netrc"))
    with pytest.raises(
        TrackerError, match=r"wandb login.*; or keep the run on this machine with WANDB_MODE=offline$"
    ) as caught:
        log_runs(two_runs[:1], "wandb")
    assert "\n" not in str(caught.value)


def test_a_tracker_that_is_switched_off_does_not_say_that_it_logged(here, two_runs, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(UsageError, match="W&B is disabled"):
        log_runs(two_runs[:1], "wandb")
