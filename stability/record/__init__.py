"""run.json: what was measured, and on what."""

from stability.record.file import read_record, write_record
from stability.record.labels import runs_by_editor
from stability.record.problem import Problem
from stability.record.schema import (
    SCHEMA_VERSION,
    Checkpoint,
    EditorInfo,
    EditOutcome,
    Matrix,
    ModelInfo,
    Reading,
    Record,
    Run,
    TaskResult,
)

__all__ = [
    "SCHEMA_VERSION",
    "Checkpoint",
    "EditOutcome",
    "EditorInfo",
    "Matrix",
    "ModelInfo",
    "Problem",
    "Reading",
    "Record",
    "Run",
    "TaskResult",
    "read_record",
    "runs_by_editor",
    "write_record",
]
