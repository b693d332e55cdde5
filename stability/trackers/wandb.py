"""Weights & Biases: a project for each suite, and in it a run for each editor and seed, grouped by editor."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stability.errors import TrackerError, UsageError
from stability.parts import TrackerHead
from stability.printable import clean
from stability.trackers.steps.spelling import spelled

if TYPE_CHECKING:
    import wandb

    from stability.trackers.steps.series import TrackedRun

FORBIDDEN = re.compile(r"^_|[^A-Za-z0-9_\-]")  # its charts cannot be asked for others, nor for a first _
NOT_IN_PROJECT = re.compile(r"[/\\#?%:]")
LONGEST_KEY, LONGEST_NAME, LONGEST_TAG = 250, 128, 64  # characters
STEP = "edits"


class WandbTracker:
    """Logs as W&B is configured: to its server after `wandb login`, to a folder if WANDB_MODE is offline."""

    head = TrackerHead(
        "wandb",
        "Weights & Biases: a project for each suite",
        project_variable="WANDB_PROJECT",
        # No word of its own use is sent to its makers; nor does it (before 0.19, and since) put the machine
        # that logs beside a run that another machine may have made.
        environment=(
            ("WANDB_ERROR_REPORTING", "false"),
            ("WANDB__DISABLE_STATS", "true"),
            ("WANDB__DISABLE_META", "true"),
            ("WANDB_X_DISABLE_STATS", "true"),
            ("WANDB_X_DISABLE_META", "true"),
        ),
    )

    def __init__(self, project: str) -> None:
        import wandb  # noqa: F401  (missing, it is missed before anything is logged)

        self._project = NOT_IN_PROJECT.sub("_", clean(project)).strip()[:LONGEST_NAME] or "stability"

    def log(self, run: TrackedRun, name: str, artifacts: Sequence[Path]) -> str:
        """Log a run; its charts have the number of edits below."""
        import wandb

        with _refusals():
            made = wandb.init(
                id=secrets.token_hex(4),  # not WANDB_RUN_ID, which would be every run's
                project=self._project,
                name=clean(name)[:LONGEST_NAME],
                group=run.editor[:LONGEST_NAME] or None,
                job_type="stability",
                tags=_tags(run),
                config=dict(run.parameters),
                settings=wandb.Settings(console="off", silent=True, disable_git=True, save_code=False),
            )
            if made.disabled:
                raise UsageError(
                    "--to wandb: W&B is disabled, so that nothing would be logged; see WANDB_MODE"
                )
            status = 1
            try:
                _fill(made, run)
                _attach(made, run, artifacts)
                status = 1 if run.state == "failed" else 0
            finally:
                made.finish(exit_code=status)
        return f"{Path(made.dir).parent} (offline; wandb sync sends it)" if made.offline else str(made.url)


def _fill(made: wandb.Run, run: TrackedRun) -> None:
    keys = dict.fromkeys(key for values in run.points.values() for key in values)
    results = {**run.results, ("verdict",): run.status, ("state",): run.state}
    results |= {("verdict", *key): status for key, status in run.verdicts.items()}
    names = spelled([(STEP,), *keys, *results], FORBIDDEN, LONGEST_KEY, filler="-")
    made.define_metric(STEP)
    made.define_metric("*", step_metric=STEP)
    for edits, values in run.points.items():
        made.log({STEP: edits, **{names[key]: value for key, value in values.items()}})
    made.summary.update({names[key]: value for key, value in results.items()})


def _attach(made: wandb.Run, run: TrackedRun, artifacts: Sequence[Path]) -> None:
    import wandb

    if not artifacts:
        return
    words = ("stability", run.suite, run.editor, str(run.seed))
    (name,) = spelled([words], FORBIDDEN, LONGEST_NAME, joint="-", filler="-").values()
    attached = wandb.Artifact(name, type="stability-record")
    for path in artifacts:
        if path.is_dir():
            attached.add_dir(str(path), name=path.name)
        else:
            attached.add_file(str(path))
    made.log_artifact(attached)


def _tags(run: TrackedRun) -> list[str]:
    words = (run.suite, run.editor, run.status)
    return list(dict.fromkeys(tag for word in words if (tag := word.strip()[:LONGEST_TAG])))


@contextmanager
def _refusals() -> Iterator[None]:
    import wandb

    try:
        yield
    except wandb.Error as error:
        said = clean(str(error)).rstrip(".")
        hint = "; or keep the run on this machine with WANDB_MODE=offline" if "API key" in said else ""
        raise TrackerError(f"wandb: {said}{hint}") from error
