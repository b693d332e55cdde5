"""What comparing two checkpoints' weights says, as readings: the unedited one's, and the edited one's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from stability.errors import ProblemKind
from stability.gate.files.dtypes import loaded_dtype
from stability.gate.files.layout import Layout
from stability.gate.weights.change import LONGEST_ROW, Change
from stability.gate.weights.compare import WeightDifferences
from stability.models.files import ADAPTER
from stability.record import Problem, Reading
from stability.record.schema import Over
from stability.run.costs import scalar

NAMED = 3  # places that a reading's key says
NO_RANK = f"no matrix, or one with rows of more than {LONGEST_ROW:,}"
UNREAD = Problem(kind="nothing_to_measure", message="unchanged, and no matrix of its kind was edited")
GONE = Problem(kind="structure_changed", message="not in the edited checkpoint in this shape")
DIFFERENCES = ("tensor_differences", "dtype_differences", "config_differences", "tokenizer_differences")


def base_readings(base: Layout, weights: WeightDifferences) -> dict[str, Reading]:
    """The readings of the unedited checkpoint, under the names that `edited_readings` has."""
    bad = sum(change.nonfinite_base for change in weights.changes.values())
    return {
        **dict.fromkeys(DIFFERENCES, differences(())),
        "delta_norm": _figures(base, weights, lambda change: 0.0),
        "delta_rank": _figures(base, weights, lambda change: 0.0),
        "frozen_weights": _counts(dict.fromkeys(base.tensors, 0.0)),
        "nonfinite": scalar(float(bad), "weights"),
        "weight_norm": _norms(base, weights, lambda change: change.base_norm),
    }


def edited_readings(
    base: Layout,
    edited: Layout,
    weights: WeightDifferences,
    config: Mapping[str, tuple[object, object]],
    tokenizer: Sequence[str],
) -> dict[str, Reading]:
    """The readings of the edited checkpoint.

    Norms are those of `weight_norm` and `delta_norm`, of block matrices and of any other tensor that differs.
    `nonfinite` counts in tensors that differ: what is equal to the base is not read for it.
    """
    counted = dict.fromkeys(base.tensors, 0.0)
    counted |= {name: float(change.elements) for name, change in weights.changes.items()}
    counted |= {name: float(base.tensors[name].elements) for name in (*weights.missing, *weights.reshaped)}
    counted |= {name: float(edited.tensors[name].elements) for name in weights.extra}
    bad = weights.nonfinite + sum(change.nonfinite for change in weights.changes.values())
    return {
        "config_differences": differences(
            [f"{key} {was!r} -> {now!r}" for key, (was, now) in config.items()]
        ),
        "delta_norm": _figures(base, weights, lambda change: _ratio(change.delta_norm, change.base_norm)),
        "delta_rank": _figures(base, weights, lambda change: _rank(change)),
        "dtype_differences": differences(list(_dtypes(base, edited, weights))),
        "frozen_weights": _counts(counted),
        "nonfinite": scalar(float(bad), "weights"),
        "tensor_differences": differences(list(_tensors(base, edited, weights))),
        "tokenizer_differences": differences(tokenizer),
        "weight_norm": _norms(base, weights, lambda change: change.norm),
    }


def differences(places: Sequence[str]) -> Reading:
    """A single count; its key names the first of what differs."""
    named = ", ".join(places[:NAMED]) + (f" and {len(places) - NAMED} more" if len(places) > NAMED else "")
    return Reading(over="scalar", values={named: float(len(places))}, unit="differences")


def _tensors(base: Layout, edited: Layout, weights: WeightDifferences) -> Iterable[str]:
    """`missing NAME`, `reshaped NAME [2, 3] -> [3, 2]`: the differences other than in values.

    An adapter over a model that is complete without it is one more, for not every loader applies it.
    """
    if _has_adapter_beside(edited) and not _has_adapter_beside(base):
        yield f"{ADAPTER} over the weights beside it"
    yield from (f"missing {name}" for name in weights.missing)
    yield from (f"extra {name}" for name in weights.extra)
    for name, (was, now) in weights.reshaped.items():
        yield f"reshaped {name} {list(was)} -> {list(now)}"


def _has_adapter_beside(layout: Layout) -> bool:
    folder = layout.folder
    return folder.adapter == folder.path and any(one.added for one in layout.tensors.values())


def _dtypes(base: Layout, edited: Layout, weights: WeightDifferences) -> Iterable[str]:
    """`loaded as float32 -> bfloat16`, `NAME F32 -> BF16`."""
    was, now = loaded_dtype(base.folder), loaded_dtype(edited.folder)
    if was != now:
        yield f"loaded as {was} -> {now}"
    yield from (f"{name} {one} -> {other}" for name, (one, other) in weights.retyped.items())


def _norms(base: Layout, weights: WeightDifferences, figure: Callable[[Change], float]) -> Reading:
    """Norms of what differs and of its like; a matrix of another kind is left out, for it was not read."""
    values = {**weights.norms, **{name: figure(change) for name, change in weights.changes.items()}}
    left_out = {matrix.name: UNREAD for matrix in base.matrices if matrix.name not in values}
    gone = {*weights.missing, *weights.reshaped}
    left_out |= {name: GONE for name in left_out if name in gone}
    return _reading("matrix", values, left_out)


def _figures(base: Layout, weights: WeightDifferences, figure: Callable[[Change], float | None]) -> Reading:
    """A figure of what differs; 0 for every block matrix that does not."""
    gone = {*weights.missing, *weights.reshaped}
    values = {matrix.name: 0.0 for matrix in base.matrices if matrix.name not in gone}
    left_out = dict.fromkeys(gone, GONE)
    for name, change in weights.changes.items():
        value = figure(change)
        if value is None:
            values.pop(name, None)
            kind: ProblemKind = "not_finite" if change.nonfinite else "nothing_to_measure"
            left_out[name] = Problem(
                kind=kind, message=NO_RANK if kind == "nothing_to_measure" else "not finite"
            )
        else:
            values[name] = value
    return _reading("matrix", values, left_out)


def _rank(change: Change) -> float | None:
    return None if change.rank is None else float(change.rank)


def _counts(values: Mapping[str, float]) -> Reading:
    return _reading("parameter", values, {}, "elements")


def _reading(
    over: Over, values: Mapping[str, float], left_out: Mapping[str, Problem], unit: str = ""
) -> Reading:
    return Reading(over=over, values=dict(values), left_out=dict(left_out), unit=unit)


def _ratio(value: float, base: float) -> float:
    """`value / base`, 0 for 0 / 0 and infinite for anything else over 0."""
    if base == 0:
        return 0.0 if value == 0 else value * math.inf
    return value / base
