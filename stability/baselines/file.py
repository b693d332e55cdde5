"""A baseline's file: the record of one editor, reduced to what a later run is compared with.

It differs from other records in two ways: outcomes of single edits and times of stages are left out, and the
documents of a task, which are the same at every checkpoint, are listed only once, at the unedited model. Each
line holds one metric at one checkpoint, or one edit, so that changes can be reviewed as a diff.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stability.judge import runs_by_editor
from stability.record import Checkpoint, EditOutcome, Reading, Record, Run, TaskResult, read_record
from stability.record.file import write_atomically

LINES = {
    "model": 2,
    "base": 2,
    "runs": 5,
}  # how many levels are broken into lines: runs, run, checkpoints ... readings
Change = Callable[[TaskResult, TaskResult], TaskResult]


def write_baseline(record: Record, editor: str, path: Path) -> None:
    """Write the runs of an editor (a label of `runs_by_editor`) as a baseline, atomically."""
    content = json.loads(cut_down(record, editor).model_dump_json(exclude_defaults=True))
    content = {"schema_version": record.schema_version, **content}
    lines = [f' "{key}": {laid_out(value, LINES.get(key, 0), 2)}' for key, value in content.items()]
    write_atomically(path, "{\n" + ",\n".join(lines) + "\n}\n")


def read_baseline(path: Path) -> Record:
    """Read a baseline, or any other record.

    Raises:
        RecordError: the file is missing, is not JSON, or was written by another schema.
    """
    return _with_tasks(read_record(path), _filled)


def cut_down(record: Record, editor: str) -> Record:
    """The record with the runs of one editor only, reduced to what can be compared."""
    runs = tuple(_run(run) for run in runs_by_editor(record)[editor])
    return _with_tasks(record.model_copy(update={"runs": runs, "timing": {}}), _emptied)


def _run(run: Run) -> Run:
    edits = tuple(
        EditOutcome(
            id=edit.id,
            prompt=edit.prompt,
            subject=edit.subject,
            target=edit.target,
            target_true=edit.target_true,
            space=edit.space,
        )
        for edit in run.edits
    )
    return run.model_copy(update={"edits": edits, "timing": {}})


def _with_tasks(record: Record, change: Change) -> Record:
    """The record, with each task result at a checkpoint replaced by a function of it and the unedited one."""

    def of_reading(name: str, reading: Reading) -> Reading:
        first = record.base.readings.get(name)
        if not reading.tasks or first is None:
            return reading
        tasks = {
            task: change(result, first.tasks[task]) if task in first.tasks else result
            for task, result in reading.tasks.items()
        }
        return reading.model_copy(update={"tasks": tasks})

    def of_checkpoint(point: Checkpoint) -> Checkpoint:
        readings = {name: of_reading(name, reading) for name, reading in point.readings.items()}
        return point.model_copy(update={"readings": readings})

    runs = tuple(
        run.model_copy(update={"checkpoints": tuple(of_checkpoint(point) for point in run.checkpoints)})
        for run in record.runs
    )
    return record.model_copy(update={"runs": runs})


def _emptied(result: TaskResult, first: TaskResult) -> TaskResult:
    if (result.doc_ids, result.gold) != (first.doc_ids, first.gold):
        return result
    return result.model_copy(update={"doc_ids": (), "gold": ()})


def _filled(result: TaskResult, first: TaskResult) -> TaskResult:
    if result.doc_ids or not (result.predicted or result.values):
        return result
    return result.model_copy(update={"doc_ids": first.doc_ids, "gold": first.gold})


def laid_out(content: Any, levels: int, indent: int = 1) -> str:
    """JSON with line breaks in its first levels, except in lists and mappings of plain values only."""
    inside: list[Any] = []
    if isinstance(content, (dict, list)):
        inside = list(content.values() if isinstance(content, dict) else content)
    if not levels or not any(isinstance(value, (dict, list)) for value in inside):
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    if isinstance(content, dict):
        parts = [
            f"{json.dumps(key)}: {laid_out(value, levels - 1, indent + 1)}" for key, value in content.items()
        ]
    else:
        parts = [laid_out(value, levels - 1, indent + 1) for value in content]
    opening, closing = "{}" if isinstance(content, dict) else "[]"
    lines = ",\n".join(" " * indent + part for part in parts)
    return f"{opening}\n{lines}\n{' ' * (indent - 1)}{closing}"
