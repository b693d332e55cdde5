"""Readers of what the harness writes for itself: entries of the cache, and what a run's process tells."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from pydantic import ValidationError

from stability.errors import RecordError
from stability.record import Checkpoint, EditorInfo, EditOutcome, Problem, Reading, Run
from stability.run.process.telling import Told
from stability.run.recording import Progress
from stability.store import Store, all_entries
from stability.store.store import is_entry
from tools.fuzz.reader import Reader

EDITOR = EditorInfo(name="e", source="built-in")
NORM = Reading(over="matrix", unit="", values={"w": 2.0})
KEY = {"what": "covariance", "layer": 3, "weights": "f" * 64, "text": [1, 2]}


@cache
def _entry() -> Path:
    """The name of an entry."""
    with TemporaryDirectory() as folder:
        return Path(Store(folder).path(KEY).name)


def _entries() -> list[bytes]:
    with TemporaryDirectory() as folder:
        store = Store(folder)
        store.save(KEY, {"sum": torch.eye(3), "count": torch.ones(1)}, about="a model")
        return [store.path(KEY).read_bytes()]


def _cached(path: Path) -> None:
    """All that is done with an entry; a damaged one counts as missing."""
    for entry in all_entries(path.parent):
        assert len(entry.describe()) == 2
        assert is_entry(path) == (Store(path.parent).load(KEY) is not None)


def _lines() -> list[bytes]:
    outcome = EditOutcome(
        id="a", prompt="{} is", subject="b", target="c", success=True, reported={"loss": 0.5}
    )
    ended = Problem(kind="editor_raised", message="bad", file="a.py:1", edits=1)
    told = (
        Told(stage="preparing"),
        Told(editing=1),
        Told(edits=("rome", 1, 3)),
        Told(progress=Progress(outcomes=(outcome,), timing={"edit": 0.5})),
        Told(
            progress=Progress(checkpoint=Checkpoint(edits=1, changed=("w",), readings={"weight_norm": NORM}))
        ),
        Told(asks=True),
        Told(log=("a", 30, "b")),
        Told(progress=Progress(status="failed", error=ended)),
        Told(raised="c"),
    )
    return ["".join(one.model_dump_json(exclude_defaults=True) + "\n" for one in told).encode()]


def _heard(path: Path) -> None:
    """What the parent makes of each line: part of a run, which is written."""
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            told = Told.model_validate_json(line)
        except ValidationError as error:
            raise RecordError("the run's process sent something that the harness does not say") from error
        if told.progress is not None:
            new = told.progress
            points = () if new.checkpoint is None else (new.checkpoint,)
            status = new.status or "truncated"
            Run(seed=0, editor=EDITOR, edits=new.outcomes, checkpoints=points, status=status, error=new.error,
                timing=new.timing).model_dump_json()  # fmt: skip


READERS = (
    Reader("entry of the cache", str(_entry()), "safetensors", _entries, _cached),
    Reader("what a run's process tells", "told", "lines", _lines, _heard),
)
