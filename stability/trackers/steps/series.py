"""What a tracker is told of each run: a pure function of a record and of what the judge says of it.

A key is a tuple of words, which every tracker spells as it may. Over the edits there are, at each checkpoint,

    check, NAME[, TASK]                  the worst value of a check, as it was judged
    METRIC                               a metric that is a single value
    METRIC, TASK                         the score of a task
    METRIC, edited_max_ratio             the largest of the edited matrices, over the unedited model's
    METRIC, late_min_ratio               the smallest of the late layers, over the unedited model's
    METRIC, affected_mean                the mean of the layer pairs that the edits can reach
    METRIC, mean                         the mean of all edits so far
    cost, NAME                           time and memory

without `_ratio`, and then of the values themselves, where the unedited model's are 0 or were not measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stability.judge import WORST_FIRST, EditorJudgement, Judgement, Status, Verdict, runs_by_editor
from stability.judge.inputs import EditedModel
from stability.judge.problems import NothingSelected
from stability.judge.select import edited_model, first_affected, layers_of
from stability.judge.verdict import plain
from stability.record import Checkpoint, Reading, Record, Run
from stability.report.steps.wording import clean

Key = tuple[str, ...]


@dataclass(frozen=True)
class TrackedRun:
    """One editor at one seed.

    `parameters` is JSON; `points` has the values at each number of edits, ascending; `results` are numbers
    of the whole run; `verdicts` has the status of each check at this seed. Words of keys are as recorded,
    every other text is one printable line.
    """

    suite: str
    editor: str
    seed: int
    state: Literal["complete", "truncated", "failed"]
    error: str
    started: str
    seconds: float
    parameters: Mapping[str, Any]
    points: Mapping[int, Mapping[Key, float]]
    results: Mapping[Key, float]
    verdicts: Mapping[Key, Status]

    @property
    def name(self) -> str:
        """`rome seed 0`."""
        return f"{self.editor} seed {self.seed}"

    @property
    def status(self) -> Status:
        """The worst status of a check."""
        return min(self.verdicts.values(), key=WORST_FIRST.index, default="skip")


def tracked_runs(record: Record, judgement: Judgement) -> list[TrackedRun]:
    """Every run of a record, editor by editor and seed by seed; `judgement` is of this record."""
    runs = runs_by_editor(record)
    return [
        _tracked(record, run, editor, place)
        for editor in judgement.editors
        for place, run in enumerate(runs[editor.editor])
    ]


def _tracked(record: Record, run: Run, editor: EditorJudgement, place: int) -> TrackedRun:
    verdicts = {_key(verdict): status_of(verdict, place) for verdict in editor.verdicts}
    return TrackedRun(
        suite=clean(record.suite_name),
        editor=clean(editor.editor),
        seed=run.seed,
        state=run.status,
        error=clean(str(run.error or "")),
        started=record.started,
        seconds=math.fsum(run.timing.values()) if all(map(math.isfinite, run.timing.values())) else 0.0,
        parameters=parameters(record, run, editor),
        points=_points(record, run, editor, place),
        results=_results(editor, place, list(verdicts.values())),
        verdicts=verdicts,
    )


def _key(verdict: Verdict) -> Key:
    """A check, and the task where it has a verdict for each."""
    is_one_of_several = verdict.task is not None and verdict.check != verdict.name
    return (verdict.name, verdict.task) if verdict.task and is_one_of_several else (verdict.name,)


def status_of(verdict: Verdict, place: int) -> Status:
    """The status at one seed; one that no seed has by itself, such as an error of the check, is of all."""
    if verdict.status not in {seed.status for seed in verdict.seeds}:
        return verdict.status
    return verdict.seeds[place].status


def parameters(record: Record, run: Run, editor: EditorJudgement) -> dict[str, Any]:
    """What the run was made with, and by which bounds it was judged."""
    model, info = record.model, run.editor
    asked = run.seed in record.passed_over  # whether the model had to know the facts
    passed_over = {"passed_over": record.passed_over[run.seed]} if asked else {}
    found = {
        "suite": record.suite_name,
        "seed": run.seed,
        "model": {
            "name": model.name,
            "architecture": model.architecture,
            "fingerprint": model.fingerprint,
            "tokenizer_fingerprint": model.tokenizer_fingerprint,
            "dtype": model.dtype,
            "device": model.device,
            "layers": model.layers,
            "parameters": model.parameters,
        },
        "editor": {
            "name": info.name,
            "source": info.source,
            "version": info.version,
            "fingerprint": info.fingerprint,
            "settings": info.settings,
        },
        "edits": {"source": record.edits_source, "count": len(run.edits), **passed_over},
        "text": {"fingerprint": record.text_fingerprint, "tokens": record.text_tokens},
        "measured_fingerprint": record.measured_fingerprint,
        "checks": {verdict.name: verdict.bound for verdict in editor.verdicts},
        "versions": {"stability-harness": record.harness_version, **record.versions},
        "command": record.command,
    }
    return {clean(key): _cleaned(value) for key, value in found.items()}


def _cleaned(value: Any) -> Any:
    """The value as JSON has it, every text in it printable."""
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(part) for part in value]
    plainly = plain(value)
    if plainly is None or isinstance(plainly, bool | int | float):
        return plainly
    return clean(str(plainly))


def _results(editor: EditorJudgement, place: int, statuses: Sequence[Status]) -> dict[Key, float]:
    summary = editor.runs[place]
    failed = [verdict.seeds[place] for verdict in editor.verdicts if verdict.status == "fail"]
    held = [seed.held_to or 0 for seed in failed if seed.status == "fail"]
    results: dict[Key, float] = {("edits_made",): summary.edits}
    if "error" not in statuses:
        results["held_to",] = min(held, default=summary.edits)
    if summary.edits_per_key_dimension is not None:
        results["edits_per_key_dimension",] = summary.edits_per_key_dimension
    return results | {("verdicts", status): statuses.count(status) for status in WORST_FIRST}


def _points(record: Record, run: Run, editor: EditorJudgement, place: int) -> dict[int, dict[Key, float]]:
    model = edited_model(record.model, run.edited)
    points: dict[int, dict[Key, float]] = {}
    for checkpoint in (record.base, *run.checkpoints):
        points.setdefault(checkpoint.edits, {}).update(_measured(checkpoint, record.base, model))
    for verdict in editor.verdicts:
        for point in verdict.seeds[place].points:
            points.setdefault(point.edits, {})["check", *_key(verdict)] = point.value
    return dict(sorted(points.items()))


def _measured(checkpoint: Checkpoint, base: Checkpoint, model: EditedModel) -> Iterator[tuple[Key, float]]:
    for metric, reading in checkpoint.readings.items():
        for key, value in _curves(reading, base.readings.get(metric), model):
            yield (metric, *key), value
    for cost, reading in checkpoint.costs.items():
        if "" in reading.values:
            yield ("cost", cost), reading.values[""]


def _curves(reading: Reading, base: Reading | None, model: EditedModel) -> Iterator[tuple[Key, float]]:
    """The few values of a reading that make a curve over the edits."""
    values = {key: value for key, value in reading.values.items() if key not in reading.left_out}
    match reading.over:
        case "scalar" | "task":
            for key, value in values.items():
                yield (key,) if key else (), value
        case "matrix":
            edited = {matrix.name for matrix in model.edited_matrices}
            yield from _extreme("edited_max", _only(values, edited), base)
        case "layer":
            yield from _extreme("late_min", _only(values, set(map(str, layers_of("late", model)))), base)
        case "pair":
            yield from _mean("affected_mean", _affected(values, model))
        case "edit":
            yield from _mean("mean", values)


def _only(values: Mapping[str, float], keys: set[str]) -> dict[str, float]:
    return {key: value for key, value in values.items() if key in keys}


def _affected(values: Mapping[str, float], model: EditedModel) -> dict[str, float]:
    """The pairs with a layer at or after the first edited block."""
    try:
        reached = {str(layer) for layer in range(first_affected(model), model.info.layers)}
    except NothingSelected:
        return {}
    return {key: value for key, value in values.items() if reached & set(key.split("-"))}


def _extreme(name: str, values: Mapping[str, float], base: Reading | None) -> Iterator[tuple[Key, float]]:
    """The largest or, by the name, smallest value, over the unedited model's where each has one."""
    if not values:
        return
    references = {} if base is None else base.values
    ratios = all(references.get(key) and math.isfinite(references[key]) for key in values)
    found = [value / references[key] if ratios else value for key, value in values.items()]
    worst = max(found) if name.endswith("max") else min(found)
    yield (f"{name}_ratio" if ratios else name,), worst if all(map(math.isfinite, found)) else math.nan


def _mean(name: str, values: Mapping[str, float]) -> Iterator[tuple[Key, float]]:
    if values:
        yield (name,), sum(values.values()) / len(values)
