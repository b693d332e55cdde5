"""A value against its reference, and the medians that are the reference of `relative_to: unedited`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median

from stability.judge.problems import CannotJudge, NothingSelected
from stability.judge.select import Scene
from stability.record import Reading


def change_of(value: float, reference: float, change: str) -> float:
    """`ratio` is value/reference, `absolute` their difference, `relative` the difference over the reference.

    An overflow is an infinity, which no bound holds.
    """
    difference = value - reference
    if change == "absolute":
        return difference
    return (value if change == "ratio" else difference) / reference


def compare(
    values: Mapping[str, float], references: Mapping[str, float], change: str, reference_name: str
) -> dict[str, float]:
    """Every value against the reference of the same key.

    Raises:
        CannotJudge: a reference is missing, not finite, or 0 where a share of it is asked for.
    """
    changes = {}
    for key, value in values.items():
        reference = references.get(key)
        label = f" for {key}" if key else ""
        if reference is None:
            raise CannotJudge(f"{reference_name} has no value{label} to compare with")
        if not math.isfinite(reference):
            raise CannotJudge(f"{reference_name} is {reference}{label}: nothing can be compared with it")
        if reference == 0 and change != "absolute":
            raise CannotJudge(
                f"{reference_name} is 0{label}, so no {change} can be taken; use 'change: absolute'"
            )
        changes[key] = change_of(value, reference, change)
    return changes


def unedited_medians(reading: Reading, scene: Scene) -> dict[str, float]:
    """For every matrix, the median over the matrices of its kind in layers without an edit.

    A matrix whose kind has none gets no entry.

    Raises:
        CannotJudge: the metric has no value for each matrix.
        NothingSelected: every layer holds an edited matrix.
    """
    if reading.over != "matrix":
        raise CannotJudge(
            f"'relative_to: unedited' compares matrices, and this metric has a value for each {reading.over}"
        )
    by_kind: dict[str, list[float]] = {}
    for name, value in reading.values.items():
        matrix = scene.matrices.get(name)
        if matrix is not None and matrix.layer not in scene.edited_layers:
            by_kind.setdefault(matrix.kind, []).append(value)
    if not by_kind:
        raise NothingSelected("every layer holds an edited matrix: none is left to compare with")
    medians = {kind: median(values) for kind, values in by_kind.items()}
    return {matrix.name: medians[matrix.kind] for matrix in scene.model.matrices if matrix.kind in medians}
