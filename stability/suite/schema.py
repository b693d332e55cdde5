"""The suite language, schema 1: what to run, and the assertions that the run is judged by."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from stability.suite.bounds import Bound, parse_bound
from stability.suite.metrics import measured_by

LAYER_WORDS = ("edited", "unedited", "before_edited", "after_edited", "late", "all")
MATRIX_WORDS = ("edited", "mlp_in", "mlp_gate", "mlp_out", "attn_q", "attn_k", "attn_v", "attn_out", "all")
LAYER_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})|(\d{1,18})")
MOST_LAYERS = 100_000


class SuiteModel(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, protected_namespaces=())


def parse_layers(value: object) -> str | tuple[int, ...]:
    """`late`, `[13, 14]`, `13`, `"13-17"` or `[13-15, 17]`: a word stays, numbers become a sorted tuple."""
    if isinstance(value, str) and value in LAYER_WORDS:
        return value
    parts = value if isinstance(value, (list, tuple)) else [value]
    layers: set[int] = set()
    for part in parts:
        match = None if isinstance(part, bool) else LAYER_RANGE.fullmatch(str(part).strip())
        if not match:
            raise ValueError(
                f"cannot read layers {value!r}; write one of {', '.join(LAYER_WORDS)}, "
                "a list such as [13, 14] or a range such as '13-17'"
            )
        first = int(match[1] or match[3])
        last = int(match[2] or match[3])
        if first > last:
            raise ValueError(f"layers {part!r} count down; write '{last}-{first}'")
        if last >= MOST_LAYERS:
            raise ValueError(f"there is no layer {last}; the highest to be named is {MOST_LAYERS - 1}")
        layers.update(range(first, last + 1))
    if not layers:
        raise ValueError("layers is an empty list; leave the key out to select every layer")
    return tuple(sorted(layers))


def parse_matrices(value: object) -> tuple[str, ...]:
    """One word or a list of them."""
    words = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    for word in words:
        if word not in MATRIX_WORDS:
            raise ValueError(f"no matrices are called {word!r}; write one of {', '.join(MATRIX_WORDS)}")
    if not words:
        raise ValueError("matrices is an empty list; leave the key out to select every matrix")
    return tuple(str(word) for word in words)


def as_tuple(value: object) -> object:
    """A single word where a list may stand."""
    return (value,) if isinstance(value, (str, int)) else value


Layers = Annotated[str | tuple[int, ...], BeforeValidator(parse_layers)]
Matrices = Annotated[tuple[str, ...], BeforeValidator(parse_matrices)]
Words = Annotated[tuple[str, ...], BeforeValidator(as_tuple)]
Count = Annotated[int, Field(ge=1)]


class ModelSpec(SuiteModel):
    """Which model: `world`, `smollm2`, a hub name or a folder."""

    name: str = "world"
    gguf: str | None = None  # the file of it to read, whose weights are dequantised
    revision: str | None = None
    dtype: Literal["float32", "bfloat16", "float16", "float64", "auto"] = "float32"
    device: str | None = None
    device_map: str | dict[str, int | str] | None = None
    trust_remote_code: bool = False  # whether code from the model's repository may run


class EditorSpec(SuiteModel):
    """Which editor, with the settings that differ from its presets."""

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)
    label: str | None = Field(None, alias="as", min_length=1)

    @field_validator("settings")
    @classmethod
    def _wraps_an_editor(cls, settings: dict[str, Any]) -> dict[str, Any]:
        try:
            _inside(settings)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in ("editor", *first["loc"]))
            raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from error
        return settings

    @property
    def called(self) -> str:
        """What reports call it: its label, else its name, with that of the editor that it wraps."""
        inner = None if self.label else _inside(self.settings)
        return self.label or (self.name if inner is None else f"{self.name}({inner.called})")


def _inside(settings: dict[str, Any]) -> EditorSpec | None:
    """The editor that a wrapper of these settings wraps; None if they are of no wrapper."""
    inner = settings.get("editor")
    return EditorSpec.model_validate(parse_editor(inner)) if isinstance(inner, (str, dict)) else None


def parse_editor(value: object) -> object:
    """`rome` or `{rome: {layers: [17]}}`."""
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and len(value) == 1 and "name" not in value:
        ((name, settings),) = value.items()
        if settings is None or isinstance(settings, dict):
            return {"name": name, "settings": settings or {}}
    if isinstance(value, (EditorSpec, dict)) and (not isinstance(value, dict) or "name" in value):
        return value
    raise ValueError(
        "an editor is a name, or one name with its settings, such as {rome: {layers: [17]}}, "
        "or {name: rome, as: LABEL, settings: {...}}"
    )


Editor = Annotated[EditorSpec, BeforeValidator(parse_editor)]


class EditsSpec(SuiteModel):
    """Where the edit requests come from, how many are made, and how many go into one call of the editor.

    With `known`, only facts are edited that the unedited model knows.
    """

    source: str = "world"
    path: str | None = None
    count: Count = 20
    batch: Count = 1
    known: bool = False


UNITS = {"MB": 10**6, "GB": 10**9, "MiB": 2**20, "GiB": 2**30}
Seconds = Annotated[float, Field(gt=0)]


class LimitsSpec(SuiteModel):
    """What a run, an editor at a seed, may spend in a process of its own; `.inf` seconds are no limit."""

    edit_seconds: Seconds = 600.0
    total_seconds: Seconds = 86_400.0
    memory: Annotated[str, Field(pattern=rf"^\d{{1,9}} ?({'|'.join(UNITS)})$")] | None = None

    @property
    def memory_bytes(self) -> int | None:
        """The memory in bytes."""
        if self.memory is None:
            return None
        number = self.memory.rstrip("".join(UNITS)).strip()
        return int(number) * UNITS[self.memory.removeprefix(number).strip()]


EVERY = re.compile(r"(\d{1,9}) ?(edits?|s|min|h)")
SECONDS = {"s": 1, "min": 60, "h": 3600}


def parse_every(value: object) -> str:
    """`50`, `50 edits`, `90 s`, `5 min`, `2 h` or `never`: a number alone is one of edits."""
    words = f"{value} edits" if isinstance(value, int) and not isinstance(value, bool) else str(value).strip()
    match = EVERY.fullmatch(words)
    if words != "never" and (match is None or int(match[1]) == 0):
        raise ValueError(
            f"cannot read {value!r}; write a number of edits, or a time such as '5 min', or 'never'"
        )
    return words


class ResumeSpec(SuiteModel):
    """How much may be lost, beside what is lost since the last checkpoint, of a run that is gone on with."""

    every: Annotated[str, BeforeValidator(parse_every), WithJsonSchema({"type": ["string", "integer"]})] = (
        "5 min"
    )

    @property
    def edits(self) -> int | None:
        """The number of edits; None if it is a time."""
        match = EVERY.fullmatch(self.every)
        return int(match[1]) if match and match[2].startswith("edit") else None

    @property
    def seconds(self) -> float | None:
        """The time; None if it is a number of edits."""
        match = EVERY.fullmatch(self.every)
        return int(match[1]) * SECONDS[match[2]] if match and match[2] in SECONDS else None

    @property
    def is_never(self) -> bool:
        """Whether nothing is left to go on from."""
        return self.every == "never"


class RunSpec(SuiteModel):
    """The sequential run."""

    edits: EditsSpec = EditsSpec()
    checkpoints: tuple[int, ...] = ()
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = (0,)
    stop_on: Literal["never", "first_failure"] = "never"
    limits: LimitsSpec = LimitsSpec()
    resume: ResumeSpec = ResumeSpec()
    keep: Literal["none", "final", "all"] = "none"  # of the points to go on from, once the run has ended

    @field_validator("checkpoints")
    @classmethod
    def _counts(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(count < 0 for count in value):
            raise ValueError("a checkpoint is a number of edits, 0 or more")
        return tuple(sorted(set(value)))

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("seeds must be a list of different numbers, at least one")
        return value

    @model_validator(mode="after")
    def _whole_batches(self) -> RunSpec:
        wrong = [count for count in self.checkpoints if count % self.edits.batch and count < self.edits.count]
        if wrong:
            raise ValueError(f"checkpoint {wrong[0]} falls inside a batch of {self.edits.batch} edits")
        return self

    def schedule(self) -> tuple[int, ...]:
        """The checkpoints after 0, in order; the last edit is always one."""
        inside = [count for count in self.checkpoints if 0 < count < self.edits.count]
        return (*inside, self.edits.count)


class TextSpec(SuiteModel):
    """The text that activations, probes, perplexity and KL are measured on."""

    source: str = "world"
    path: str | None = None
    tokens: Annotated[int, Field(ge=2)] = 10_000
    window: Annotated[int, Field(ge=2)] = 256
    skip_tokens: Annotated[int, Field(ge=0)] = 1


class ProbesSpec(SuiteModel):
    """How the layer-pair probes are fitted."""

    C: Annotated[float, Field(gt=0)] = 0.01
    tokens: Count = 2_000
    train_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    minimum_base_accuracy: Annotated[float, Field(ge=0.5, le=1)] = 0.95


class TasksSpec(SuiteModel):
    """How lm-eval's tasks are run; the names are lm-eval's."""

    include_path: str | None = None
    data: str | None = None
    limit: Count | None = None
    num_fewshot: Annotated[int, Field(ge=0)] | None = None
    batch_size: Count = 32
    require_data: bool = False
    trust_code: bool = False  # whether what `include_path` holds may name code, such as `!function`


class UntouchedSpec(SuiteModel):
    """How many facts that the unedited model knows, and that no edit is about, `untouched_facts` asks."""

    count: Count = 100


class MayChange(SuiteModel):
    """What an editor is allowed to touch; anything else is a frozen weight."""

    layers: Layers = "all"
    matrices: Matrices = ("all",)


class Where(SuiteModel):
    """Which of a metric's values a check looks at."""

    layers: Layers | None = None
    matrices: Matrices | None = None
    pairs: Literal["affected", "all"] | None = None
    task: str | None = None


class Noise(SuiteModel):
    """How a measured drop is told from chance.

    `cluster` names a field of lm-eval's documents: those that have the same value of it, such as the same
    passage, are not independent, and are resampled together.
    """

    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    max_detectable: Annotated[float, Field(gt=0)] | None = None
    on_inconclusive: Literal["warn", "fail"] = "warn"
    cluster: Annotated[str, Field(min_length=1)] | None = None


def parse_aggregate(value: object) -> object:
    """max, min, mean, median or qNN."""
    if value in ("max", "min", "mean", "median") or re.fullmatch(r"q\d\d?", str(value)):
        return value
    raise ValueError(f"cannot aggregate by {value!r}; write max, min, mean, median or a quantile such as q05")


class CheckSpec(SuiteModel):
    """One declarative assertion.

    `only` and `except` name editors as `EditorSpec.called` does; without them a check is put to all.
    """

    metric: str
    assertion: str = Field(alias="assert")
    where: Where = Where()
    for_each: dict[Literal["task"], Words] = Field(default_factory=dict)
    relative_to: Literal["base", "unedited", "previous"] | None = None
    change: Literal["ratio", "absolute", "relative"] = "ratio"
    aggregate: Annotated[str, BeforeValidator(parse_aggregate)] | None = None
    noise: Noise | None = None
    severity: Literal["fail", "warn"] = "fail"
    require: bool = False
    at: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    only: Words = ()
    excluded: Words = Field((), alias="except")

    @field_validator("assertion")
    @classmethod
    def _readable(cls, value: str) -> str:
        parse_bound(value)
        return value

    @field_validator("at", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return as_tuple(value)

    @model_validator(mode="after")
    def _makes_sense(self) -> CheckSpec:
        if self.noise and self.relative_to not in ("base", "previous"):
            raise ValueError("noise is judged on drops: it needs 'relative_to: base' or 'previous'")
        if self.noise and not self.assertion.lstrip().startswith(">"):
            raise ValueError("noise is judged on drops: write the bound as '>= -TOLERANCE'")
        if self.noise and self.change == "ratio" and self.bound.low <= 0:
            raise ValueError(
                "noise is judged on drops, and no ratio of scores falls below 0: write 'change: absolute', "
                "or a bound such as '>= 0.95'"
            )
        if self.where.task and self.for_each:
            raise ValueError("name the task in 'where' or in 'for_each', not in both")
        if self.only and self.excluded:
            raise ValueError("write 'only' or 'except', not both")
        if self.change != "ratio" and self.relative_to is None:
            raise ValueError(f"'change: {self.change}' needs 'relative_to'")
        return self

    @property
    def bound(self) -> Bound:
        """The assertion, read."""
        return parse_bound(self.assertion)

    def verdict_ids(self, name: str) -> tuple[str, ...]:
        """The ids of its verdicts: the check's name, with a task in brackets where it goes over tasks."""
        tasks = self.for_each.get("task", ())
        return tuple(f"{name}[{task}]" for task in tasks) or (name,)

    def concerns(self, editor: str) -> bool:
        """Whether it is put to the editor of that name."""
        return editor not in self.excluded and (not self.only or editor in self.only)


class SuiteSpec(SuiteModel):
    """A whole suite file."""

    schema_: Literal[1] = Field(alias="schema")
    name: str
    description: str = ""
    model: ModelSpec = ModelSpec()
    editors: tuple[Editor, ...] = ()
    run: RunSpec = RunSpec()
    text: TextSpec = TextSpec()
    probes: ProbesSpec = ProbesSpec()
    tasks: TasksSpec = TasksSpec()
    untouched: UntouchedSpec = UntouchedSpec()
    may_change: MayChange | None = None
    record: Words = ()
    checks: dict[str, CheckSpec]

    @field_validator("model", mode="before")
    @classmethod
    def _model_by_name(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("editors")
    @classmethod
    def _told_apart(cls, value: tuple[EditorSpec, ...]) -> tuple[EditorSpec, ...]:
        names = [editor.called for editor in value]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(
                f"two editors are called {twice!r}; give one a label: "
                f"{{name: {twice}, as: LABEL, settings: {{...}}}}"
            )
        return value

    @field_validator("name")
    @classmethod
    def _file_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value):
            raise ValueError(f"{value!r} names the report's folder: letters, digits, '.', '_' and '-' only")
        return value

    @field_validator("checks")
    @classmethod
    def _some_checks(cls, value: dict[str, CheckSpec]) -> dict[str, CheckSpec]:
        if not value:
            raise ValueError("a suite without checks would pass anything; write at least one")
        for name in value:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
                raise ValueError(
                    f"check {name!r}: a name is letters, digits, '_' and '-', and starts with a letter"
                )
        return value

    @model_validator(mode="after")
    def _frozen_needs_may_change(self) -> SuiteSpec:
        for name, check in self.checks.items():
            if check.metric == "frozen_weights" and self.may_change is None:
                raise ValueError(f"check {name}: frozen_weights needs 'may_change' to say what is not frozen")
        return self

    @property
    def metric_names(self) -> frozenset[str]:
        """Every metric that it asks for by name: those of its checks, and those that are only recorded."""
        return frozenset({*(check.metric for check in self.checks.values()), *self.record}) - {"all"}

    @property
    def is_for_gate(self) -> bool:
        """Whether it asks what only `stability gate` measures, so that no editor can be run by it."""
        return any(measured_by(check.metric) == "gate" for check in self.checks.values())

    def checks_of(self, editor: str) -> dict[str, CheckSpec]:
        """The checks that are put to an editor, by name, in the order of the file."""
        return {name: check for name, check in self.checks.items() if check.concerns(editor)}

    @property
    def task_names(self) -> tuple[str, ...]:
        """Every task that a check asks for, in the order of the file."""
        names: dict[str, None] = {}
        for check in self.checks.values():
            for task in (*check.for_each.get("task", ()), *([check.where.task] if check.where.task else [])):
                names[task] = None
        return tuple(names)

    @property
    def clusters(self) -> dict[str, tuple[str, ...]]:
        """The fields of documents that checks resample by, for each task."""
        fields: dict[str, dict[str, None]] = {}
        for check in self.checks.values():
            if check.noise is None or check.noise.cluster is None:
                continue
            named = (*check.for_each.get("task", ()), *((check.where.task,) if check.where.task else ()))
            for task in named or self.task_names:
                fields.setdefault(task, {})[check.noise.cluster] = None
        return {task: tuple(names) for task, names in fields.items()}
