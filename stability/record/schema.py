"""The record: every figure that a run measured, and enough about the run to judge and repeat it.

    Record            one suite on one model
    ├── model         fingerprint, blocks and matrices of the unedited model
    ├── base          the readings of checkpoint 0, the unedited model
    └── runs          one for each editor and seed
        ├── edits         what each edit asked for, and whether it held right after it was made
        └── checkpoints   the readings after n edits

A reading holds one metric's values at one checkpoint, by key. What the keys are, `over` says: a parameter's
name, a block's index ("7"), a pair of blocks ("3-7"), a task's name, the number of an edit from 1 on, or ""
for a single value. Nothing in here depends on the suite's thresholds. Times and memory stand in `costs` and
`timing` and nowhere else, so that two runs of one seed give the same record but for those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    import pandas

SCHEMA_VERSION = 1

Over = Literal["matrix", "parameter", "layer", "pair", "task", "edit", "scalar"]
MatrixKind = Literal["mlp_in", "mlp_gate", "mlp_out", "attn_q", "attn_k", "attn_v", "attn_qkv", "attn_out"]


class RecordModel(BaseModel):
    """Frozen; unknown keys are errors; NaN and infinities are written as strings, to keep the file JSON."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_inf_nan="strings", protected_namespaces=()
    )


class Matrix(RecordModel):
    """A weight matrix of a block. `name` is the parameter's full name in the model."""

    name: str
    layer: int
    kind: MatrixKind
    d_out: int
    d_in: int  # the key dimension d_k of an MLP's output matrix


class ModelInfo(RecordModel):
    """The unedited model."""

    name: str
    architecture: str
    fingerprint: str  # SHA-256 over the parameters' names, shapes, dtypes and bytes
    tokenizer_fingerprint: str
    dtype: str
    device: str
    layers: int
    parameters: int
    matrices: tuple[Matrix, ...]


class TaskResult(RecordModel):
    """What a task's documents gave at one checkpoint, beyond the score in the reading.

    `gold` and `predicted` are class or choice indices by document, in the order of `doc_ids`; `values` takes
    their place where a document's result is a number (exact match, a log-likelihood). A group has `members`
    and no documents of its own. `chance` is the score of a guess (the majority's rate for an accuracy).
    """

    metric: str  # as lm-eval names it: acc, f1, mcc, acc_norm, exact_match ...
    n: int
    chance: float | None = None
    members: tuple[str, ...] = ()
    doc_ids: tuple[int, ...] = ()
    gold: tuple[int, ...] = ()
    predicted: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    truncated: int = 0  # documents longer than the model's context


class Reading(RecordModel):
    """One metric at one checkpoint."""

    over: Over
    values: dict[str, float]
    unit: str = ""
    tasks: dict[str, TaskResult] = Field(default_factory=dict)  # for over == "task"
    base: dict[str, float] = Field(default_factory=dict)  # probes: held-out accuracy on the base, by pair
    left_out: dict[str, str] = Field(default_factory=dict)  # key -> why it was not measured


class Checkpoint(RecordModel):
    """The readings after `edits` edits. `errors` and `skipped` say why a metric has no reading."""

    edits: int
    changed: tuple[str, ...] = ()  # parameters that differ from the base, found by comparing
    readings: dict[str, Reading] = Field(default_factory=dict)
    errors: dict[str, str] = Field(default_factory=dict)
    skipped: dict[str, str] = Field(default_factory=dict)
    costs: dict[str, Reading] = Field(default_factory=dict)  # edit_seconds, measure_seconds, peak_memory


class EditOutcome(RecordModel):
    """One edit, and how the model answered right after it was made (None: not measured)."""

    id: str
    prompt: str
    subject: str
    target: str
    target_true: str | None = None
    success: bool | None = None
    accurate: bool | None = None
    paraphrase_success: float | None = None
    neighborhood_success: float | None = None
    reported: dict[str, float] = Field(default_factory=dict)  # what the editor says of this edit


class EditorInfo(RecordModel):
    """The editor as it ran, every setting filled in."""

    name: str  # as the suite or the command line calls it; unique within a record
    source: str  # built-in, entry point, dotted name or path; checkpoint: found edited on disk
    settings: dict[str, Any] = Field(default_factory=dict)
    version: str | None = None
    fingerprint: str = ""  # SHA-256 of source code and settings


class Run(RecordModel):
    """One editor at one seed."""

    editor: EditorInfo
    seed: int
    status: Literal["complete", "truncated", "failed"] = "complete"
    error: str | None = None  # when failed: one line
    failed_at: int | None = None  # when failed: the number of edits made before
    edits: tuple[EditOutcome, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    timing: dict[str, float] = Field(default_factory=dict)  # seconds by stage

    @property
    def is_gated(self) -> bool:
        """Whether the model was found edited on disk; without `edits`, nobody knows how often."""
        return self.editor.source == "checkpoint"

    @property
    def edited(self) -> frozenset[str]:
        """Parameters that differ from the base at any checkpoint."""
        return frozenset(name for checkpoint in self.checkpoints for name in checkpoint.changed)


class Record(RecordModel):
    """One suite on one model: the content of run.json."""

    schema_version: Literal[1] = 1
    harness_version: str
    suite_name: str
    suite_text: str  # the suite file as it was read
    suite_path: str | None = None
    measured_fingerprint: (
        str  # of everything in the suite but its checks: what was measured, not how it is judged
    )
    measured: dict[str, Any] = Field(default_factory=dict)  # the same in full, to say what differs
    command: str  # what runs it again
    model: ModelInfo
    edits_source: str
    text_fingerprint: str
    text_tokens: int
    base: Checkpoint
    runs: tuple[Run, ...] = ()
    not_asked: dict[str, str] = Field(default_factory=dict)  # metrics that were not to be measured, and why
    versions: dict[str, str] = Field(default_factory=dict)
    timing: dict[str, float] = Field(default_factory=dict)
    started: str = ""  # ISO 8601, UTC; a time, so not compared between runs

    def frame(
        self, table: Literal["readings", "edits", "documents", "runs"] = "readings"
    ) -> pandas.DataFrame:
        """One of the record's tables, as long and tidy as `stability.record.tables` says.

        Raises:
            ValueError: there is no such table.
            RecordError: a number in it does not fit into 64 bits.
        """
        from stability.record.frame import data_frame
        from stability.record.tables import TableName
        from stability.record.tables import table as made

        return data_frame(made(self, TableName(table)))
