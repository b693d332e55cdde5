"""The record: every figure that a run measured, and enough about the run to judge and repeat it.

    Record            one suite on one model
    ├── replaced      what stood on the command line in place of the suite's own values
    ├── model         fingerprint, blocks and matrices of the unedited model
    ├── base          the readings of checkpoint 0, the unedited model
    └── runs          one for each editor and seed
        ├── edits         what each edit asked for, and whether it held right after it was made
        └── checkpoints   the readings after n edits

A reading holds one metric's values at one checkpoint, by key. What the keys are, `over` says: a parameter's
name, a block's index ("7"), a pair of blocks ("3-7"), a task's name, the number of an edit from 1 on, or ""
for a single value. Nothing in here depends on the suite's thresholds. Times and memory stand in `costs` and
`timing` and nowhere else, so that two runs of one seed give the same record but for those. Why something was
not measured stands in problems: a kind from a closed set, and a line for people.

Within a schema fields are only added, each with a default, and a reader takes no notice of those that it does
not know. What changes a field's meaning is a new schema, and the older ones are still read.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stability.record.problem import Problem

SCHEMA_VERSION = 2

Over = Literal["matrix", "parameter", "layer", "pair", "task", "edit", "scalar"]
MatrixKind = Literal[
    "mlp_in", "mlp_gate", "mlp_out", "attn_q", "attn_k", "attn_v", "attn_qkv", "attn_out", "other"
]  # other: known by its name alone, as a matrix of an expert


class RecordModel(BaseModel):
    """Frozen; NaN and infinities are written as strings, to keep the file JSON; unknown keys are left out."""

    model_config = ConfigDict(
        frozen=True, extra="ignore", ser_json_inf_nan="strings", protected_namespaces=()
    )


class Matrix(RecordModel):
    """A weight matrix of a block. `name` is the parameter's full name in the model."""

    name: str
    layer: int
    kind: MatrixKind
    d_out: int
    d_in: int  # the key dimension d_k of an MLP's output matrix

    @property
    def group(self) -> str:
        """What matrices of other layers have to share to be of its like: kind or, for `other`, the name."""
        if self.kind != "other":
            return self.kind
        return ".".join("*" if part.isdigit() else part for part in self.name.split("."))


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
    remote_code: bool = False  # whether code that lies in the model's repository was run


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
    left_out: dict[str, Problem] = Field(default_factory=dict)  # key -> why it was not measured


class Checkpoint(RecordModel):
    """The readings after `edits` edits. `errors` and `skipped` say why a metric has no reading."""

    edits: int
    changed: tuple[str, ...] = ()  # parameters that differ from the base, found by comparing
    readings: dict[str, Reading] = Field(default_factory=dict)
    errors: dict[str, Problem] = Field(default_factory=dict)
    skipped: dict[str, Problem] = Field(default_factory=dict)
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
    error: Problem | None = None  # when failed
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


class Replaced(RecordModel):
    """What the command line, or a caller in Python, put in place of the suite's own values.

    The fields are those of `suite.overrides.Overrides`, None or empty where the suite's value stood.
    """

    model: str | None = None
    editors: tuple[str, ...] = ()
    edits: int | None = None
    seeds: tuple[int, ...] = ()
    checkpoints: tuple[int, ...] = ()
    settings: tuple[str, ...] = ()  # KEY=VALUE
    baselines: str | None = None  # the folder of the earlier records, where it was named


class GateCall(RecordModel):
    """What `stability gate` was asked to compare."""

    base: str
    edited: str
    level: str = "weights"
    edits: str | None = None  # the file of the edits that were made
    suite: str | None = None  # the suite, where it was named

    def arguments(self) -> list[str]:
        """The command-line arguments that say the same."""
        words = [self.base, self.edited]
        words += ["--suite", self.suite] if self.suite is not None else []
        words += ["--level", self.level]
        return [*words, *(["--edits", self.edits] if self.edits is not None else [])]


class RecordFields(RecordModel):
    """The content of run.json."""

    schema_version: Literal[2] = 2
    harness_version: str
    suite_name: str
    suite_text: str  # the suite file as it was read
    suite_path: str | None = None
    measured_fingerprint: (
        str  # of everything in the suite but its checks: what was measured, not how it is judged
    )
    measured: dict[str, Any] = Field(default_factory=dict)  # the same in full, to say what differs
    command: str  # what runs it again, for people
    replaced: Replaced = Replaced()
    gate: GateCall | None = None  # where two checkpoints on disk were compared
    model: ModelInfo
    edits_source: str
    text_fingerprint: str
    text_tokens: int
    base: Checkpoint
    runs: tuple[Run, ...] = ()
    not_asked: dict[str, Problem] = Field(default_factory=dict)  # metrics not to be measured, and why
    versions: dict[str, str] = Field(default_factory=dict)
    timing: dict[str, float] = Field(default_factory=dict)
    started: str = ""  # ISO 8601, UTC; a time, so not compared between runs
