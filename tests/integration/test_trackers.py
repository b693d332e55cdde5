"""`stability log`, as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from stability.record import read_record, write_record
from tests.reports import report_files

SUITE = "schema: 1\nname: norm-growth\nchecks:\n  quiet: {metric: kl_divergence, assert: '<= 0.1'}\n"

pytestmark = pytest.mark.filterwarnings(
    # MLflow 3.17 still uses a loader that SQLAlchemy 2.1 deprecates
    "ignore:The ``noload`` loader strategy is deprecated:sqlalchemy.exc.SADeprecationWarning"
)


@pytest.fixture
def kept(records, folder, monkeypatch):
    """A record of two seeds in out/run.json, and trackers that nobody has configured."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(folder / "home"))
    base, memit = records.whole_run(at=(20, 40))
    record = records.record(base, [memit, memit.model_copy(update={"seed": 1})], suite_text=SUITE)
    write_record(record, folder / "out" / "run.json")
    return record


def test_mlflow_gets_a_run_for_each_seed_with_its_verdicts_and_files(shell, folder, kept, monkeypatch):
    (folder / "out" / "figures").mkdir()
    (folder / "out" / "figures" / "norms.svg").write_text("<svg/>")
    done = shell("stability", "log", "out", "--to", "mlflow")
    assert done.returncode == 0, done.stderr
    store = f"sqlite:///{folder}/mlflow.db"
    lines = done.stdout.splitlines()
    assert [line.split(", run ")[0] for line in lines] == [
        f"memit seed {seed}: {store}, experiment norm-growth" for seed in (0, 1)
    ]
    monkeypatch.chdir(folder)
    client = MlflowClient(store)
    for line in lines:
        run = client.get_run(line.split(", run ")[1])
        assert run.data.tags["verdict.quiet"] == "fail"
        assert [point.step for point in client.get_metric_history(run.info.run_id, "check/quiet")] == [20, 40]
        names = [file.path for file in client.list_artifacts(run.info.run_id)]
        assert set(names) == {"figures", *report_files()}
        assert read_record(folder / client.download_artifacts(run.info.run_id, "run.json")) == kept


def test_wandb_keeps_a_run_for_each_seed_where_it_is_offline(shell, folder, kept, monkeypatch, import_file):
    monkeypatch.setenv("WANDB_MODE", "offline")
    (folder / "lenient.stability.yaml").write_text(SUITE.replace("0.1", "0.9"))
    done = shell(
        "stability", "log", "out/run.json", "--to", "wandb", "--project", "mine", "--name", "nightly",
        "--suite", "lenient.stability.yaml", "--no-files",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    offline = import_file(Path(__file__).parents[1] / "trackers" / "offline.py")
    for seed, line in enumerate(done.stdout.splitlines()):
        label, place = line.removesuffix(" (offline; wandb sync sends it)").split(": ")
        assert label == f"memit seed {seed}"
        run = offline.read_file(next(Path(place).glob("*.wandb")))
        assert (run.project, run.name) == ("mine", f"nightly memit seed {seed}")
        assert run.summary["verdict/quiet"] == "pass"
        assert run.files == {}


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["out", "--to", "wandb"], 3, "or keep the run on this machine with WANDB_MODE=offline"),
        (["nowhere", "--to", "mlflow"], 3, "nowhere: cannot read the record"),
        (
            ["empty", "--to", "mlflow"],
            2,
            "empty/run.json: the record holds no run, so there is nothing to log",
        ),
    ],
)
def test_what_cannot_be_logged_is_one_line(shell, folder, kept, arguments, status, message):
    write_record(kept.model_copy(update={"runs": ()}), folder / "empty" / "run.json")
    done = shell("stability", "log", *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr
    assert not (folder / "mlflow.db").exists()


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_a_tracker_that_is_not_installed_says_what_to_install(folder, kept, tracker):
    code = (
        f"import sys; sys.modules['{tracker}'] = None; sys.argv = ['stability', 'log', 'out', '--to', '{tracker}']\n"
        "from stability.cli import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"--to {tracker}: {tracker} is not installed; pip install 'stability-harness[{tracker}]'\n"
    )


def test_mlflow_without_what_its_database_needs_says_what_to_install(folder, kept):
    code = (
        "import sys; sys.modules['alembic'] = None; sys.argv = ['stability', 'log', 'out', '--to', 'mlflow']\n"
        "from stability.cli import main\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(
        "mlflow.db is a database, for which alembic is not installed; pip install 'stability-harness[mlflow]'\n"
    )
