"""The first step: which values a check looks at, by the suite's words for layers, matrices and pairs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stability.judge import words
from stability.judge.baseline import previous_checkpoint
from stability.judge.inputs import Assertion, EditedModel, RecordedRun
from stability.judge.problems import CannotJudge, NothingSelected, Unjudged
from stability.record import Checkpoint, Matrix, ModelInfo, Problem, Reading
from stability.suite import CheckSpec
from stability.suite.judgeable import misfits
from stability.suite.schema import MayChange, Where

UNEDITED_MODEL, BASELINE = "the unedited model", "the baseline"
FUSED = {"attn_q": "attn_qkv", "attn_k": "attn_qkv", "attn_v": "attn_qkv"}


@dataclass(frozen=True, eq=False)
class Selection:
    """What an assertion looks at, at one checkpoint of one run.

    `values` are the measured ones, `left_out` has the reasons for the others, and `places` the names of both
    for people. `reference` is the reading to compare with, if there is one, and `reference_name` its name for
    people. `is_change`: the metric is itself a comparison with the unedited model. If there is nothing to
    look at, `unjudged` says why.
    """

    assertion: Assertion
    run: RecordedRun
    edits: int
    reading: Reading | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, Problem] = field(default_factory=dict)
    places: Mapping[str, str] = field(default_factory=dict)
    reference: Reading | None = None
    reference_name: str = UNEDITED_MODEL
    is_change: bool = False
    unjudged: Unjudged | None = None


def checkpoints_of(check: CheckSpec, run: RecordedRun) -> Sequence[int]:
    """The checkpoints that a check looks at, in order: those in its `at`, else all after the first edit."""
    if check.at is not None:
        return sorted(set(check.at))
    return sorted({point.edits for point in run.run.checkpoints if point.edits > 0})


def select(assertion: Assertion, run: RecordedRun, edits: int) -> Selection:
    """The values that an assertion looks at after `edits` edits; 0 is the unedited model."""
    try:
        return _select(assertion, run, edits)
    except Unjudged as unjudged:
        return Selection(assertion, run, edits, unjudged=unjudged)


def _select(assertion: Assertion, run: RecordedRun, edits: int) -> Selection:
    check, model = assertion.check, run.model
    if (reason := run.record.not_asked.get(check.metric)) is not None:
        raise NothingSelected(reason)
    checkpoint = _checkpoint(run, edits)
    check_nonempty(check.where, model)
    reading = reading_of(check.metric, checkpoint)
    check_form(check, reading)
    if check.metric == "frozen_weights" and assertion.suite.may_change is not None:
        keys = frozen_parameters(reading, assertion.suite.may_change, model)
        if not keys:
            return Selection(assertion, run, edits, reading, {"": 0.0}, is_change=True)
    else:
        keys = select_keys(reading, check.where, model)
    if assertion.task is not None:
        keys = keys & {assertion.task}
        if not keys:
            raise CannotJudge(words.no_task(check.metric, assertion.task))
    left_out = {key: reason for key, reason in reading.left_out.items() if key in keys}
    left_out |= {key: reason for key, reason in assertion.at_chance.items() if key in keys}
    values = {key: value for key, value in reading.values.items() if key in keys and key not in left_out}
    places = {key: place(reading.over, key, model) for key in values if key != (assertion.task or "")}
    reference, called = _reference(check, run, edits)
    return Selection(assertion, run, edits, reading, values, left_out, places, reference, called)


def _reference(check: CheckSpec, run: RecordedRun, edits: int) -> tuple[Reading | None, str]:
    """The reading to compare with, and its name: the unedited model's or the baseline's.

    Raises:
        CannotJudge: it was not measured, or there is no usable baseline.
    """
    if check.relative_to == "base":
        return reading_of(check.metric, run.record.base), UNEDITED_MODEL
    if check.relative_to != "previous":
        return None, UNEDITED_MODEL
    earlier = previous_checkpoint(run.record, run.run, edits, run.baseline)
    try:
        return reading_of(check.metric, earlier), BASELINE
    except CannotJudge as reason:
        why = f"the baseline cannot be compared with: {reason}"
        raise CannotJudge(words.stale_baseline(why)) from reason


def _checkpoint(run: RecordedRun, edits: int) -> Checkpoint:
    """The checkpoint after `edits` edits.

    Raises:
        CannotJudge: nothing was measured then.
    """
    there = {point.edits: point for point in run.run.checkpoints if point.edits > 0} | {0: run.record.base}
    if edits not in there:
        raise CannotJudge(words.no_checkpoint(run.run, edits, sorted(there)))
    return there[edits]


def reading_of(metric: str, checkpoint: Checkpoint) -> Reading:
    """A metric's reading at a checkpoint.

    Raises:
        CannotJudge: it was not measured there, with the reason.
    """
    found = checkpoint.readings.get(metric) or checkpoint.costs.get(metric)
    if found is not None:
        return found
    reason = checkpoint.errors.get(metric) or checkpoint.skipped.get(metric)
    raise CannotJudge(
        words.not_measured(reason, checkpoint.edits)
        if reason
        else words.not_in_record(metric, checkpoint.edits)
    )


# -- the model and what was edited in it --


def edited_model(info: ModelInfo, changed: frozenset[str]) -> EditedModel:
    """A model with the parameters that a run changed."""
    edited = tuple(matrix for matrix in info.matrices if matrix.name in changed)
    blocks = {}
    for matrix in info.matrices:
        parts = matrix.name.split(".")
        if str(matrix.layer) in parts:
            blocks[".".join(parts[: parts.index(str(matrix.layer)) + 1])] = matrix.layer
    return EditedModel(
        info=info,
        changed=changed,
        matrices={matrix.name: matrix for matrix in info.matrices},
        edited_matrices=edited,
        edited_layers=frozenset(matrix.layer for matrix in edited),
        blocks=blocks,
    )


def layer_of(parameter: str, model: EditedModel) -> int | None:
    """The block that a parameter belongs to; None if it is outside the blocks."""
    if parameter in model.matrices:
        return model.matrices[parameter].layer
    parts = parameter.split(".")
    prefixes = (".".join(parts[: end + 1]) for end, part in enumerate(parts) if part.isdigit())
    return next((model.blocks[prefix] for prefix in prefixes if prefix in model.blocks), None)


def first_affected(model: EditedModel) -> int:
    """The first block whose output the edits can change.

    This is the first block with a changed parameter, or 0 if only parameters outside the blocks, such as the
    embedding, were changed.

    Raises:
        NothingSelected: nothing was changed.
    """
    if not model.changed:
        raise NothingSelected(words.nothing_edited())
    layers = [layer for name in model.changed if (layer := layer_of(name, model)) is not None]
    return min(layers, default=0)


def layers_of(wanted: str | tuple[int, ...] | None, model: EditedModel) -> frozenset[int]:
    """The blocks that the suite's word or numbers select.

    Raises:
        CannotJudge: the model has no such block.
        NothingSelected: the word refers to edited layers and nothing was edited, or no layer is left.
    """
    everything = range(model.info.layers)
    if wanted is None or wanted == "all":
        return frozenset(everything)
    if isinstance(wanted, tuple):
        missing = [layer for layer in wanted if layer not in everything]
        if missing:
            raise CannotJudge(words.no_block(missing[0], model.info.name, model.info.layers))
        return frozenset(wanted)
    if wanted == "late":
        return frozenset(everything[-math.ceil(model.info.layers / 4) :])
    if wanted == "unedited":
        return frozenset(everything) - model.edited_layers
    if not model.edited_layers:
        raise NothingSelected(words.nothing_edited())
    first, last = min(model.edited_layers), max(model.edited_layers)
    if wanted == "before_edited":
        return frozenset(range(first))
    if wanted == "after_edited":
        return frozenset(range(last + 1, model.info.layers))
    return model.edited_layers


def is_wanted(matrix: Matrix, wanted: Iterable[str] | None, model: EditedModel) -> bool:
    """Whether one of the words selects the matrix; a fused attn_qkv is selected by the word of each part."""
    if wanted is None:
        return True
    return any(
        word == "all"
        or (word == "edited" and matrix.name in model.changed)
        or matrix.kind in (word, FUSED.get(word))
        for word in wanted
    )


# -- whether the check can be asked --


def check_form(check: CheckSpec, reading: Reading) -> None:
    """Check that the metric's readings have the form the check needs.

    For suites in old records: a suite that is loaded now is refused before it runs.

    Raises:
        CannotJudge: they do not.
    """
    check_fits(check.metric, reading.over, check.where)
    if reading.over != "task" and (check.for_each or check.noise):
        word = "for_each: task" if check.for_each else "noise"
        raise CannotJudge(words.has_no_tasks(word, check.metric))
    if check.noise and check.aggregate:
        raise CannotJudge(words.noise_has_no_aggregate())


def check_fits(metric: str, over: str, where: Where) -> None:
    """Check that every key of `where` selects something in readings of this kind.

    Raises:
        CannotJudge: with the key that does not fit, and those that do.
    """
    for _, message in misfits(metric, over, where):
        raise CannotJudge(words.does_not_fit(metric, message))


def check_nonempty(where: Where, model: EditedModel) -> None:
    """Check that the words of `where` select something in this run, whatever was measured.

    Raises:
        CannotJudge: the model has no such block.
        NothingSelected: they refer to edited layers and nothing was edited, or no layer is left.
    """
    if where.matrices is not None and set(where.matrices) == {"edited"} and not model.edited_matrices:
        raise NothingSelected(words.nothing_edited())
    if where.pairs == "affected":
        _ = first_affected(model)
    if where.layers is not None and not layers_of(where.layers, model):
        raise NothingSelected(words.no_layer_left(str(where.layers), model.info.layers))


def select_keys(reading: Reading, where: Where, model: EditedModel) -> frozenset[str]:
    """The keys that `where` selects, whether they were measured or left out.

    Raises:
        CannotJudge: `where` names a block that the model does not have.
        NothingSelected: it refers to edited layers and nothing was edited.
    """
    keys = frozenset(reading.values) | frozenset(reading.left_out)
    if reading.over == "matrix":
        layers = layers_of(where.layers, model)
        chosen = (model.matrices[name] for name in keys if name in model.matrices)
        return frozenset(
            matrix.name
            for matrix in chosen
            if matrix.layer in layers and is_wanted(matrix, where.matrices, model)
        )
    if reading.over == "layer":
        layers = layers_of(where.layers, model)
        return frozenset(key for key in keys if int(key) in layers)
    if reading.over == "pair" and where.pairs == "affected":
        first = first_affected(model)
        return frozenset(key for key in keys if max(int(part) for part in key.split("-")) >= first)
    if reading.over == "task" and where.task is not None:
        return keys & {where.task}
    return keys


def frozen_parameters(reading: Reading, allowed: MayChange, model: EditedModel) -> frozenset[str]:
    """The parameters that `may_change` does not allow to change.

    A matrix may change if its layer and its kind are both allowed. Any other parameter (bias, norm,
    embedding) may change only if it belongs to an allowed layer and `may_change.matrices` is `all`.

    Raises:
        CannotJudge: `may_change` is defined by what was edited, so that nothing could violate it.
    """
    for key, wanted in (("layers", (allowed.layers,)), ("matrices", allowed.matrices)):
        circular = [word for word in wanted if isinstance(word, str) and "edited" in word]
        if circular:
            raise CannotJudge(words.circular(key, circular[0]))
    layers = layers_of(allowed.layers, model)

    def is_allowed(name: str) -> bool:
        layer = layer_of(name, model)
        if layer is None or layer not in layers:
            return False
        matrix = model.matrices.get(name)
        return "all" in allowed.matrices if matrix is None else is_wanted(matrix, allowed.matrices, model)

    return frozenset(name for name in reading.values if not is_allowed(name))


def place(over: str, key: str, model: EditedModel) -> str:
    """The name of a key for people: `h.1.mlp.c_proj`, `block 7`, `blocks 3-7`."""
    if over == "layer":
        return f"block {key}"
    if over == "pair":
        return f"blocks {key}"
    if over == "edit":
        return f"edit {key}"
    if over in ("matrix", "parameter"):
        parts = key.removesuffix(".weight").split(".")
        layer = layer_of(key, model)
        if layer is not None and str(layer) in parts:
            parts = parts[max(parts.index(str(layer)) - 1, 0) :]
        return ".".join(parts)
    return key
