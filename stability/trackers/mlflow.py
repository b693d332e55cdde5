"""MLflow: an experiment for each suite, and in it a run for each editor and seed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from stability.errors import TrackerError, UsageError
from stability.parts import TrackerHead
from stability.printable import clean
from stability.trackers.steps.spelling import flattened, spelled

if TYPE_CHECKING:
    from mlflow.entities import Metric, Param, RunTag

    from stability.trackers.steps.series import Key, TrackedRun

FORBIDDEN = re.compile(r"[^\w.\- ]")  # MLflow takes colons, too, but not on Windows
LONGEST_KEY, LONGEST_VALUE, LONGEST_NAME = 250, 6000, 500  # characters
METRICS_AT_ONCE, OTHERS_AT_ONCE = 1000, 100  # that a request may hold
TEN_YEARS = 3.2e8  # seconds; a run that claims to have taken longer is not believed

T = TypeVar("T")


class MlflowTracker:
    """Logs to the store that MLflow is configured for: `MLFLOW_TRACKING_URI`, else its default."""

    head = TrackerHead(
        "mlflow",
        "MLflow: an experiment for each suite",
        project_variable="MLFLOW_EXPERIMENT_NAME",
        # No word of its own use is sent to its makers; where a run is would be printed with the store's
        # password.
        environment=(
            ("MLFLOW_DISABLE_TELEMETRY", "true"),
            ("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true"),
        ),
    )

    def __init__(self, project: str) -> None:
        from mlflow.tracking import MlflowClient, get_tracking_uri

        self._store = get_tracking_uri()
        self._project = clean(project).strip()[:LONGEST_NAME] or "stability"
        missing = [name for name in ("sqlalchemy", "alembic") if find_spec(name) is None]
        if missing and self._store.startswith("sqlite:"):
            raise UsageError(
                f"--to mlflow: {without_password(self._store)} is a database, for which {missing[0]} is not "
                "installed; pip install 'stability-harness[mlflow]'"
            )
        with self._refusals():
            self._client = MlflowClient()
            self._experiment = self._found_or_created()

    def log(self, run: TrackedRun, name: str, artifacts: Sequence[Path]) -> str:
        """Log a run; its metrics have the number of edits as their step."""
        started = _milliseconds(run.started)
        seconds = run.seconds if 0 <= run.seconds < TEN_YEARS else 0
        with self._refusals():
            made = self._client.create_run(
                self._experiment, start_time=started, run_name=clean(name)[:LONGEST_NAME]
            )
            identifier, state = made.info.run_id, "FAILED"
            try:
                self._fill(identifier, run, started, artifacts)
                state = "FAILED" if run.state == "failed" else "FINISHED"
            finally:
                self._client.set_terminated(identifier, state, started + int(1000 * seconds))
        return place(self._store, self._experiment, self._project, identifier)

    def _fill(self, identifier: str, run: TrackedRun, at: int, artifacts: Sequence[Path]) -> None:
        for metrics in _batches(_metrics(run, at), METRICS_AT_ONCE):
            self._client.log_batch(identifier, metrics=metrics)
        for params in _batches(_parameters(run), OTHERS_AT_ONCE):
            self._client.log_batch(identifier, params=params)
        for tags in _batches(_tags(run), OTHERS_AT_ONCE):
            self._client.log_batch(identifier, tags=tags)
        for path in artifacts:
            if path.is_dir():
                self._client.log_artifacts(identifier, str(path), path.name)
            else:
                self._client.log_artifact(identifier, str(path))

    def _found_or_created(self) -> str:
        """The experiment's identifier; another process may be creating it at this moment."""
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(self._project)
        if found is None:
            try:
                return str(self._client.create_experiment(self._project))
            except MlflowException:
                found = self._client.get_experiment_by_name(self._project)
                if found is None:
                    raise
        return str(found.experiment_id)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What MLflow refuses, in a line without the store's password."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except (MlflowException, OverflowError, OSError) as error:
            said = str(error).replace(self._store, without_password(self._store))
            raise TrackerError(f"mlflow: {clean(said)}") from error


def _metrics(run: TrackedRun, at: int) -> list[Metric]:
    """Every point, and the results of the whole run at its last edit."""
    from mlflow.entities import Metric

    points = dict(run.points)
    last = max(points, default=0)
    points[last] = {**points.get(last, {}), **run.results}
    keys = dict.fromkeys(key for values in points.values() for key in values)
    names = spelled(keys, FORBIDDEN, LONGEST_KEY)
    return [
        Metric(names[key], value, at, edits)
        for edits, values in points.items()
        for key, value in values.items()
    ]


def _parameters(run: TrackedRun) -> list[Param]:
    from mlflow.entities import Param

    leaves = flattened(run.parameters)
    names = spelled(leaves, FORBIDDEN, LONGEST_KEY, joint=".")
    return [Param(names[key], _text(value)[:LONGEST_VALUE]) for key, value in leaves.items()]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _tags(run: TrackedRun) -> list[RunTag]:
    from mlflow.entities import RunTag

    said: dict[Key, str] = {("verdict",): run.status, ("state",): run.state}
    if run.error:
        said["error",] = run.error
    said |= {("verdict", *key): status for key, status in run.verdicts.items()}
    names = spelled(said, FORBIDDEN, LONGEST_KEY, joint=".")
    return [RunTag(names[key], value[:LONGEST_VALUE]) for key, value in said.items()]


def _batches(entries: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    return (entries[first : first + most] for first in range(0, len(entries), most))


def _milliseconds(started: str) -> int:
    """Since 1970; now, where the record does not say when the run began."""
    try:
        when = datetime.fromisoformat(started)
    except ValueError:
        when = datetime.now(UTC)
    return max(0, int(1000 * when.replace(tzinfo=when.tzinfo or UTC).timestamp()))


def place(store: str, experiment: str, project: str, run: str) -> str:
    """Where a person finds a run: its page on a server; else its database or folder, and its names there."""
    shown = without_password(store)
    if shown.startswith(("http://", "https://")):
        return f"{shown.rstrip('/')}/#/experiments/{experiment}/runs/{run}"
    return f"{shown}, experiment {project}, run {run}"


def without_password(store: str) -> str:
    """A store's address without the name and password that may be in it."""
    parts = urlsplit(store)
    return (
        urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])) if "@" in parts.netloc else store
    )
