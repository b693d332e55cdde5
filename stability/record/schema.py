"""The record: all measurements of a run, and what is needed to judge and repeat it.

    Record            one suite on one model
    ├── replaced      values from the command line that replaced those of the suite
    ├── model         fingerprint, blocks and matrices of the unedited model
    ├── base          the readings of checkpoint 0, the unedited model
    └── runs          one for each editor and seed
        ├── edits         what each edit asked for, and whether it held right after it was made
        └── checkpoints   the readings after n edits

A reading holds one metric's values at one checkpoint, by key. `over` says what the keys are: a parameter's
name, a block's index ("7"), a pair of blocks ("3-7"), a task's name, the number of an edit counted from 1, or
"" for a single value. Nothing in a record depends on the suite's thresholds. Times and memory are in `costs`,
`timing` and `started` only, so that two runs with the same seed give equal records apart from these, and from
`resumed_at`: a run that was interrupted and gone on with is the one that was not. If something was
not measured, a problem says why: a kind from a closed set, and a line for people.

Within a schema, fields are only added, each with a default, and readers ignore fields that they do not know.
If a field's meaning changes, the schema gets a new number; older schemas can still be read.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stability.record.problem import Problem

SCHEMA_VERSION = 2

Over = Literal["matrix", "parameter", "layer", "pair", "task", "edit", "scalar"]
MatrixKind = Literal[
    "mlp_in", "mlp_gate", "mlp_out", "attn_q", "attn_k", "attn_v", "attn_qkv", "attn_out", "other"
]  # other: identified by its name only, such as a matrix of an expert


Isolation = Literal["process", "none"]  # whether a run has a process of its own


class RecordModel(BaseModel):
    """Frozen; NaN and infinities are written as strings, to keep the file JSON; unknown keys are ignored."""

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
        """What it has in common with the same matrix in other layers: the kind or, for `other`, the name."""
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
    gguf: str | None = None  # the file that it was read from, its weights dequantised
    remote_code: bool = False  # whether code from the model's repository was run


MEAN = "mean"  # the metric of a group whose tasks are each scored by a metric of their own


MOST_CHOICES = 10_000
Choice = Annotated[int, Field(lt=MOST_CHOICES)]


class TaskResult(RecordModel):
    """A task's results by document at one checkpoint; its score is in the reading.

    `gold` and `predicted` are class or choice indices by document, in the order of `doc_ids`. If a document's
    result is a number (exact match, a log-likelihood), it is in `values` instead. A group has `members` and
    no documents of its own. `chance` is the score of a guess on these documents (for an accuracy, of the best
    single answer, which for a group is one answer to all its documents), `guess` the same over all that the
    task has, of which `limit` may have taken some; None in older records and where it is not known.
    `clusters` has, by field of the documents that a suite names, a number for each document: those with the
    same value of the field have the same.
    """

    metric: str  # as lm-eval names it: acc, f1, mcc, acc_norm, exact_match ...
    n: int
    chance: float | None = None
    guess: float | None = None
    members: tuple[str, ...] = ()
    doc_ids: tuple[int, ...] = ()
    gold: tuple[Choice, ...] = ()
    predicted: tuple[Choice, ...] = ()
    values: tuple[float, ...] = ()
    clusters: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    truncated: int = 0  # documents longer than the model's context


class Sample(RecordModel):
    """What a figure was taken of, where that is not all: `measured` of `of` `what`, evenly spread."""

    measured: int
    of: int
    what: str  # positions, tokens, windows

    @classmethod
    def of_all(cls, measured: int, of: int, what: str) -> Sample | None:
        """The sample; None if it is all that there is."""
        return cls(measured=measured, of=of, what=what) if measured < of else None


class Reading(RecordModel):
    """One metric at one checkpoint."""

    over: Over
    values: dict[str, float]
    unit: str = ""
    tasks: dict[str, TaskResult] = Field(default_factory=dict)  # for over == "task"
    base: dict[str, float] = Field(default_factory=dict)  # probes: held-out accuracy on the base, by pair
    left_out: dict[str, Problem] = Field(default_factory=dict)  # key -> why it was not measured
    sample: Sample | None = None  # None: all that there is


class Checkpoint(RecordModel):
    """The readings after `edits` edits. `errors` and `skipped` say why a metric has no reading."""

    edits: int
    changed: tuple[str, ...] = ()  # parameters that differ from the base, found by comparing
    readings: dict[str, Reading] = Field(default_factory=dict)
    errors: dict[str, Problem] = Field(default_factory=dict)
    skipped: dict[str, Problem] = Field(default_factory=dict)
    costs: dict[str, Reading] = Field(default_factory=dict)  # edit_seconds, measure_seconds, peak_memory


class EditOutcome(RecordModel):
    """One edit, and the model's answers right after it was made (None: not measured)."""

    id: str
    prompt: str
    subject: str
    target: str
    target_true: str | None = None
    space: bool | None = None  # whether one was put between prompt and target; None: always, of old
    success: bool | None = None
    accurate: bool | None = None
    paraphrase_success: float | None = None
    neighborhood_success: float | None = None
    reported: dict[str, float] = Field(default_factory=dict)  # figures that the editor reports for this edit


class EditorInfo(RecordModel):
    """The editor as it ran, with all of its settings."""

    name: str  # from the suite or the command line; unique within a record
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
    failed_at: int | None = None  # when failed: the number of edits made before that
    edits: tuple[EditOutcome, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    timing: dict[str, float] = Field(default_factory=dict)  # seconds by stage
    isolation: Isolation | None = None  # None: of old, in the harness's own process
    resumed_at: tuple[int, ...] = ()  # the numbers of edits from which it was gone on with, as if a time

    @property
    def is_gated(self) -> bool:
        """Whether the model was read already edited; without `edits`, the number of edits is unknown."""
        return self.editor.source == "checkpoint"

    @property
    def edited(self) -> frozenset[str]:
        """The parameters that differ from the base at any checkpoint."""
        return frozenset(name for checkpoint in self.checkpoints for name in checkpoint.changed)


class Replaced(RecordModel):
    """Values from the command line, or from a caller in Python, that replaced those of the suite.

    The fields are those of `suite.overrides.Overrides`, None or empty if the suite's value was used.
    """

    model: str | None = None
    editors: tuple[str, ...] = ()
    edits: int | None = None
    seeds: tuple[int, ...] = ()
    checkpoints: tuple[int, ...] = ()
    settings: tuple[str, ...] = ()  # KEY=VALUE
    baselines: str | None = None  # the folder of the earlier records, if it was given


class GateCall(RecordModel):
    """The arguments of `stability gate`."""

    base: str
    edited: str
    level: str = "weights"
    edits: str | None = None  # the file of the edits that were made
    suite: str | None = None  # the suite, if it was given

    def arguments(self) -> list[str]:
        """The same as command-line arguments."""
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
    measured: dict[str, Any] = Field(default_factory=dict)  # the same in full, to show what differs
    inputs_fingerprint: str = ""  # of the files that the suite names: edits, text, tasks and metrics
    command: str  # the command that runs it again, for people
    replaced: Replaced = Replaced()
    gate: GateCall | None = None  # if two checkpoints on disk were compared
    model: ModelInfo
    edits_source: str
    passed_over: dict[int, int] = Field(default_factory=dict)  # by seed: facts that the model does not know
    text_fingerprint: str
    text_tokens: int
    base: Checkpoint
    runs: tuple[Run, ...] = ()
    under_way: bool = False  # until the last of its runs has ended; stays true if the process did not finish
    not_asked: dict[str, Problem] = Field(default_factory=dict)  # metrics that were not measured, and why
    versions: dict[str, str] = Field(default_factory=dict)
    timing: dict[str, float] = Field(default_factory=dict)
    started: str = ""  # ISO 8601, UTC; a time, so not compared between runs
