"""The second step: compare each value with its reference, which for `relative_to: unedited` is a median."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from stability.judge import words
from stability.judge.inputs import EditedModel
from stability.judge.problems import CannotJudge, NothingSelected, Unjudged
from stability.judge.select import Selection
from stability.record import Problem, Reading


@dataclass(frozen=True, eq=False)
class ComparedValues:
    """A selection whose values are compared with their references.

    `scale` is the size of the numbers whose differences the values are; 0 where they are no differences.

    `left_out` gives the reason for every selected value that could not be compared. If no value is left to
    check against the bound, `unjudged` says why.
    """

    selection: Selection
    values: Mapping[str, float] = field(default_factory=dict)
    left_out: Mapping[str, Problem] = field(default_factory=dict)
    unjudged: Unjudged | None = None
    scale: float = 0.0


def compare(selection: Selection) -> ComparedValues:
    """The selected values, compared with what the check is relative to."""
    if selection.unjudged is not None or selection.reading is None:
        return ComparedValues(selection, unjudged=selection.unjudged)
    try:
        compared = _compare(selection, selection.reading)
        if not compared.values:
            raise _nothing_to_judge(selection, compared.left_out)
        if compared.left_out and selection.reading.over == "task" and _is_required(selection):
            raise CannotJudge(_all_required(selection, compared.left_out))
    except Unjudged as unjudged:
        return ComparedValues(selection, unjudged=unjudged)
    return compared


def _compare(selection: Selection, reading: Reading) -> ComparedValues:
    check, values, reference = selection.assertion.check, selection.values, selection.reference
    if check.relative_to == "unedited" and not selection.is_change:
        medians = unedited_medians(reading, selection.run.model)
        alone = words.none_of_its_kind()
        without = {key: alone for key in values if key not in medians}
        known = {key: value for key, value in values.items() if key in medians}
        changes = changes_of(known, medians, check.change, "the median of the unedited layers")
        scale = scale_of(known, medians, check.change)
        return ComparedValues(selection, changes, {**selection.left_out, **without}, scale=scale)
    if reference is None:
        return ComparedValues(selection, values, selection.left_out)
    changes = changes_of(values, reference.values, check.change, selection.reference_name)
    scale = scale_of(values, reference.values, check.change)
    return ComparedValues(selection, changes, selection.left_out, scale=scale)


def _nothing_to_judge(selection: Selection, left_out: Mapping[str, Problem]) -> Unjudged:
    """Why the check has no value left to look at."""
    assertion = selection.assertion
    is_one_task = assertion.task is not None
    if left_out:
        why = words.nothing_left(left_out, is_one_task=is_one_task)
        if is_one_task and assertion.suite.tasks.require_data:
            return CannotJudge(words.data_required(why))
        return NothingSelected(why)
    where = assertion.check.where
    about_edited = "edited" in str(where.layers) or "edited" in (where.matrices or ())
    if not selection.run.model.edited_matrices and about_edited:
        return NothingSelected(words.nothing_edited())
    return NothingSelected(words.selects_nothing())


def _is_required(selection: Selection) -> bool:
    """Whether no task may be left out."""
    return selection.assertion.check.require or selection.assertion.suite.tasks.require_data


def _all_required(selection: Selection, left_out: Mapping[str, Problem]) -> Problem:
    """Why some tasks are left out, none of which may be."""
    why = words.nothing_left(left_out, is_one_task=False)
    return words.required(why) if selection.assertion.check.require else words.data_required(why)


def change_of(value: float, reference: float, change: str) -> float:
    """`ratio` is value/reference, `absolute` their difference, `relative` the difference over the reference.

    An overflow gives an infinity, which no bound accepts.
    """
    difference = value - reference
    if change == "absolute":
        return difference
    return (value if change == "ratio" else difference) / reference


def scale_of(values: Mapping[str, float], references: Mapping[str, float], change: str) -> float:
    """The size of the numbers whose differences the changes are: what rounding is measured by."""
    if change == "ratio":
        return 0.0
    if change == "relative":
        return 1.0
    sizes = [abs(number) for key in values for number in (values[key], references[key])]
    return max((size for size in sizes if math.isfinite(size)), default=0.0)


def changes_of(
    values: Mapping[str, float], references: Mapping[str, float], change: str, reference_name: str
) -> dict[str, float]:
    """Every value compared with the reference of the same key.

    Raises:
        CannotJudge: a reference is missing or not finite, or is 0 and has to be divided by.
    """
    changes = {}
    for key, value in values.items():
        reference = references.get(key)
        label = f" for {key}" if key else ""
        if reference is None:
            raise CannotJudge(words.no_reference(reference_name, label))
        if not math.isfinite(reference):
            raise CannotJudge(words.reference_not_finite(reference_name, label, reference))
        if reference == 0 and change != "absolute":
            raise CannotJudge(words.reference_zero(reference_name, label, change))
        changes[key] = change_of(value, reference, change)
    return changes


def unedited_medians(reading: Reading, model: EditedModel) -> dict[str, float]:
    """For every matrix, the median over the matrices of its kind in layers without an edit.

    A matrix whose kind has none gets no entry.

    Raises:
        CannotJudge: the metric has no value for each matrix.
        NothingSelected: every layer holds an edited matrix.
    """
    if reading.over != "matrix":
        raise CannotJudge(words.no_matrices(reading.over))
    by_group: dict[str, list[float]] = {}
    for name, value in reading.values.items():
        matrix = model.matrices.get(name)
        if matrix is not None and matrix.layer not in model.edited_layers:
            by_group.setdefault(matrix.group, []).append(value)
    if not by_group:
        raise NothingSelected(words.all_edited())
    medians = {group: median(values) for group, values in by_group.items()}
    return {matrix.name: medians[matrix.group] for matrix in model.info.matrices if matrix.group in medians}
