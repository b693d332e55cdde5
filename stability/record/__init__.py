"""run.json: what was measured, and on what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stability.lazy import attributes_from

if TYPE_CHECKING:
    from stability.record.file import read_record, write_record
    from stability.record.labels import runs_by_editor
    from stability.record.problem import Problem
    from stability.record.record import Record
    from stability.record.schema import (
        MEAN,
        SCHEMA_VERSION,
        Checkpoint,
        EditorInfo,
        EditOutcome,
        GateCall,
        Matrix,
        ModelInfo,
        Reading,
        Replaced,
        Run,
        Sample,
        TaskResult,
    )

__all__ = [
    "MEAN",
    "SCHEMA_VERSION",
    "Checkpoint",
    "EditOutcome",
    "EditorInfo",
    "GateCall",
    "Matrix",
    "ModelInfo",
    "Problem",
    "Reading",
    "Record",
    "Replaced",
    "Run",
    "Sample",
    "TaskResult",
    "read_record",
    "runs_by_editor",
    "write_record",
]

__getattr__ = attributes_from(
    __name__,
    {
        "stability.record.file": ("read_record", "write_record"),
        "stability.record.labels": ("runs_by_editor",),
        "stability.record.problem": ("Problem",),
        "stability.record.record": ("Record",),
        "stability.record.schema": (
            "MEAN",
            "SCHEMA_VERSION",
            "Checkpoint",
            "EditOutcome",
            "EditorInfo",
            "GateCall",
            "Matrix",
            "ModelInfo",
            "Reading",
            "Replaced",
            "Run",
            "Sample",
            "TaskResult",
        ),
    },
)
