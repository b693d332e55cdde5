"""What a comparison of two checkpoints says, as readings: the unedited one's, and the edited one's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from stability.gate.files.layout import Layout
from stability.gate.weights.change import Change
from stability.gate.weights.compare import Comparison
from stability.record import Reading
from stability.record.schema import Over

NAMED = 3  # places that a reading's key says
UNREAD = "unchanged, and no matrix of its kind was edited"
DIFFERENCES = ("tensor_differences", "config_differences", "tokenizer_differences")


def base_readings(base: Layout, comparison: Comparison) -> dict[str, Reading]:
    """The readings of the unedited checkpoint, under the names that `edited_readings` has."""
    bad = sum(change.nonfinite_base for change in comparison.changes.values())
    return {
        **dict.fromkeys(DIFFERENCES, differences(())),
        "delta_norm": _figures(base, comparison, lambda change: 0.0),
        "delta_rank": _figures(base, comparison, lambda change: 0.0),
        "frozen_weights": _counts(dict.fromkeys(base.tensors, 0.0)),
        "nonfinite": _scalar(bad, "weights"),
        "weight_norm": _norms(base, comparison, lambda change: change.base_norm),
    }


def edited_readings(
    base: Layout,
    edited: Layout,
    comparison: Comparison,
    config: Mapping[str, tuple[object, object]],
    tokenizer: Sequence[str],
) -> dict[str, Reading]:
    """The readings of the edited checkpoint.

    Norms are those of `weight_norm` and `delta_norm`, of block matrices and of any other tensor that differs.
    `nonfinite` counts in tensors that differ: what is equal to the base is not read for it.
    """
    counted = dict.fromkeys(base.tensors, 0.0)
    counted |= {name: float(change.elements) for name, change in comparison.changes.items()}
    counted |= {
        name: float(base.tensors[name].elements) for name in (*comparison.missing, *comparison.reshaped)
    }
    counted |= {name: float(edited.tensors[name].elements) for name in comparison.extra}
    bad = comparison.nonfinite + sum(change.nonfinite for change in comparison.changes.values())
    return {
        "config_differences": differences(
            [f"{key} {was!r} -> {now!r}" for key, (was, now) in config.items()]
        ),
        "delta_norm": _figures(base, comparison, lambda change: _ratio(change.delta_norm, change.base_norm)),
        "delta_rank": _figures(base, comparison, lambda change: _rank(change)),
        "frozen_weights": _counts(counted),
        "nonfinite": _scalar(bad, "weights"),
        "tensor_differences": differences(list(_tensors(comparison))),
        "tokenizer_differences": differences(tokenizer),
        "weight_norm": _norms(base, comparison, lambda change: change.norm),
    }


def differences(places: Sequence[str]) -> Reading:
    """A single count; its key names the first of what differs."""
    named = ", ".join(places[:NAMED]) + (f" and {len(places) - NAMED} more" if len(places) > NAMED else "")
    return Reading(over="scalar", values={named: float(len(places))}, unit="differences")


def _tensors(comparison: Comparison) -> Iterable[str]:
    """`missing NAME`, `reshaped NAME [2, 3] -> [3, 2]`: what differs besides values."""
    yield from (f"missing {name}" for name in comparison.missing)
    yield from (f"extra {name}" for name in comparison.extra)
    for name, (was, now) in comparison.reshaped.items():
        yield f"reshaped {name} {list(was)} -> {list(now)}"
    yield from (f"retyped {name} {was} -> {now}" for name, (was, now) in comparison.retyped.items())


def _norms(base: Layout, comparison: Comparison, figure: Callable[[Change], float]) -> Reading:
    """Norms of what differs and of its like; a matrix of another kind is left out, for it was not read."""
    values = {**comparison.norms, **{name: figure(change) for name, change in comparison.changes.items()}}
    left_out = {matrix.name: UNREAD for matrix in base.matrices if matrix.name not in values}
    gone = {*comparison.missing, *comparison.reshaped}
    left_out |= {name: "not in the edited checkpoint in this shape" for name in left_out if name in gone}
    return _reading("matrix", values, left_out)


def _figures(base: Layout, comparison: Comparison, figure: Callable[[Change], float | None]) -> Reading:
    """A figure of what differs; 0 for every block matrix that does not."""
    gone = {*comparison.missing, *comparison.reshaped}
    values = {matrix.name: 0.0 for matrix in base.matrices if matrix.name not in gone}
    left_out = dict.fromkeys(gone, "not in the edited checkpoint in this shape")
    for name, change in comparison.changes.items():
        value = figure(change)
        if value is None:
            values.pop(name, None)
            left_out[name] = "no matrix, or not finite"
        else:
            values[name] = value
    return _reading("matrix", values, left_out)


def _rank(change: Change) -> float | None:
    return None if change.rank is None else float(change.rank)


def _counts(values: Mapping[str, float]) -> Reading:
    return _reading("parameter", values, {}, "elements")


def _scalar(value: float, unit: str) -> Reading:
    return _reading("scalar", {"": float(value)}, {}, unit)


def _reading(over: Over, values: Mapping[str, float], left_out: Mapping[str, str], unit: str = "") -> Reading:
    return Reading(over=over, values=dict(values), left_out=dict(left_out), unit=unit)


def _ratio(value: float, base: float) -> float:
    """`value / base`, 0 for 0 / 0 and infinite for anything else over 0."""
    if base == 0:
        return 0.0 if value == 0 else value * math.inf
    return value / base
