"""Runs are logged to a real MLflow store and read back by its own client."""

import json
import math
from collections import defaultdict
from dataclasses import replace

import pytest
from mlflow.tracking import MlflowClient

from stability.errors import TrackerError
from stability.record import read_record, write_record
from stability.trackers import log_runs
from stability.trackers.mlflow import MlflowTracker, place, without_password

pytestmark = pytest.mark.filterwarnings(
    # MLflow 3.17 still uses a loader that SQLAlchemy 2.1 deprecates
    "ignore:The ``noload`` loader strategy is deprecated:sqlalchemy.exc.SADeprecationWarning"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A database of this module's own; making it takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db"


@pytest.fixture
def client(store, monkeypatch, tmp_path):
    """MLflow, told in the environment where to keep what it is given; files go into the folder here."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.chdir(tmp_path)
    return MlflowClient(store)


def logged(client, project):
    """The runs of an experiment, by name."""
    experiment = client.get_experiment_by_name(project)
    runs = client.search_runs([experiment.experiment_id])
    return {run.info.run_name: run for run in runs}


def history(client, run, name):
    return {metric.step: metric.value for metric in client.get_metric_history(run.info.run_id, name)}


def points(run):
    """The curves of a run, by key."""
    curves = defaultdict(dict)
    for edits, values in run.points.items():
        for key, value in values.items():
            curves[key][edits] = value
    return curves


def test_every_curve_is_read_back_with_the_edits_as_its_steps(client, two_runs):
    log_runs(two_runs, "mlflow", project="curves")
    found = logged(client, "curves")
    assert sorted(found) == ["memit seed 0", "memit seed 1"]
    for run in two_runs:
        for key, curve in points(run).items():
            assert history(client, found[run.name], "/".join(key)) == curve, key


def test_parameters_verdicts_and_results_are_read_back(client, two_runs):
    log_runs(two_runs[:1], "mlflow", project="verdicts")
    (run,) = logged(client, "verdicts").values()
    assert run.data.params["editor.settings.layers"] == "[1]"
    assert run.data.params["model.fingerprint"] == "a" * 64
    assert run.data.params["checks.edited_weight_norm"] == "<= 2.0"
    assert run.data.tags["verdict"] == "fail"
    for (name, *task), status in two_runs[0].verdicts.items():
        assert run.data.tags[".".join(["verdict", name, *task])] == status
    assert run.data.metrics["held_to"] == two_runs[0].results["held_to",]
    assert run.data.metrics["verdicts/fail"] == list(two_runs[0].verdicts.values()).count("fail")


def test_a_run_has_the_time_at_which_it_was_made(client, two_runs):
    log_runs(two_runs[:1], "mlflow", project="times")
    (run,) = logged(client, "times").values()
    assert run.info.start_time == 1767323045000  # 2026-01-02T03:04:05 UTC
    assert run.info.end_time - run.info.start_time == 15_000
    assert run.info.status == "FINISHED"


def test_files_and_folders_are_read_back(client, two_runs, records, judged, tmp_path):
    record, _ = judged()
    write_record(record, tmp_path / "run.json")
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "norms.svg").write_text("<svg/>")
    log_runs(
        two_runs[:1],
        "mlflow",
        project="files",
        artifacts=[tmp_path / "run.json", tmp_path / "figures"],
    )
    (run,) = logged(client, "files").values()
    assert read_record(tmp_path / client.download_artifacts(run.info.run_id, "run.json")) == record
    assert [file.path for file in client.list_artifacts(run.info.run_id, "figures")] == ["figures/norms.svg"]


def test_a_name_is_the_runs_or_what_the_names_of_several_begin_with(client, two_runs):
    log_runs(two_runs[:1], "mlflow", project="names", name="nightly")
    log_runs(two_runs, "mlflow", project="names", name="weekly")
    assert sorted(logged(client, "names")) == ["nightly", "weekly memit seed 0", "weekly memit seed 1"]


def test_the_experiment_is_the_suites_name_unless_the_environment_has_one(client, two_runs, monkeypatch):
    log_runs(two_runs[:1], "mlflow")
    assert len(logged(client, "norm-growth")) == 1
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from the environment")
    log_runs(two_runs[:1], "mlflow")
    assert len(logged(client, "from the environment")) == 1


def test_names_of_a_hostile_record_are_mapped_and_none_is_lost(client, hostile):
    log_runs([hostile], "mlflow", project="hostile")
    (run,) = logged(client, "hostile").values()
    assert run.info.status == "FAILED"
    assert run.data.tags["state"] == "failed"
    keys = {key for values in hostile.points.values() for key in values}
    assert len(run.data.metrics) == len(keys | hostile.results.keys())
    assert all(len(name) <= 250 and ".." not in name.split("/") for name in run.data.metrics)
    long = {name: value for name, value in run.data.params.items() if "aaa" in name}
    assert [(len(name), len(value)) for name, value in long.items()] == [(250, 6000)]
    text = json.dumps([run.data.params, run.data.tags], ensure_ascii=False)
    assert not {"\x1b", "\x00", "\u202e"} & set(text)


def test_numbers_that_are_not_finite_are_logged_as_far_as_a_database_can(client, two_runs):
    odd = {0: {("x",): 1.0, ("y",): 2.0}, 5: {("x",): math.nan, ("y",): math.inf}}
    log_runs([replace(two_runs[0], points=odd)], "mlflow", project="not finite")
    (run,) = logged(client, "not finite").values()
    assert math.isnan(history(client, run, "x")[5])
    assert history(client, run, "y")[5] > 1e308  # the largest number there is


def test_a_record_with_more_figures_than_a_request_may_hold_is_logged_whole(client, two_runs):
    many = {
        edits: {("layer", str(place)): float(place) for place in range(300)} for edits in range(0, 50, 10)
    }
    settings = {f"setting {place}": place for place in range(250)}
    run = replace(two_runs[0], points=many, parameters=settings)
    log_runs([run], "mlflow", project="many")
    (found,) = logged(client, "many").values()
    assert len(found.data.params) == 250
    assert sum(name.startswith("layer/") for name in found.data.metrics) == 300
    assert history(client, found, "layer/299") == dict.fromkeys(range(0, 50, 10), 299.0)


def test_what_the_store_refuses_is_one_line_and_the_run_is_marked_failed(client, two_runs):
    beyond = replace(two_runs[0], points={2**70: {("x",): 1.0}})
    with pytest.raises(TrackerError, match=r"^mlflow: ") as caught:
        log_runs([beyond], "mlflow", project="refused")
    assert "\n" not in str(caught.value)
    (run,) = logged(client, "refused").values()
    assert run.info.status == "FAILED"


def test_an_experiment_that_was_deleted_is_one_line(client, two_runs):
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(TrackerError, match=r"mlflow: .*deleted"):
        log_runs(two_runs[:1], "mlflow", project="gone")


def test_a_store_that_cannot_be_reached_is_one_line_without_its_password(client, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackerError, match=r"^mlflow: ") as caught:
        MlflowTracker("any")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_address_that_is_none_is_one_line_without_its_password(client, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://someone:secret@host")
    with pytest.raises(TrackerError, match=r"^mlflow: .*nonsense://host") as caught:
        MlflowTracker("any")
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("https://someone:secret@host:5000/mlflow", "https://host:5000/mlflow"),
        ("postgresql://someone:s@cret@host/db", "postgresql://host/db"),
        ("sqlite:///folder/mlflow.db", "sqlite:///folder/mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_a_password_is_not_shown(store, shown):
    assert without_password(store) == shown


def test_a_run_on_a_server_is_found_at_its_page():
    assert place("https://me:secret@host/", "7", "smoke", "f1") == "https://host/#/experiments/7/runs/f1"
    assert place("sqlite:///m.db", "7", "smoke", "f1") == "sqlite:///m.db, experiment smoke, run f1"


def test_mlflow_itself_prints_nothing(client, two_runs, capsys):
    log_runs(two_runs[:1], "mlflow", project="silent")
    assert capsys.readouterr().out == ""
