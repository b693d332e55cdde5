"""Values against what they are compared with."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.judge.compare import changes_of, scale_of, unedited_medians
from stability.judge.problems import CannotJudge, NothingSelected
from stability.judge.select import edited_model

NUMBERS = st.floats(0.01, 100.0)


@given(NUMBERS, NUMBERS)
def test_ratio_absolute_and_relative_are_what_they_say(value: float, reference: float) -> None:
    def change(how: str) -> float:
        return changes_of({"k": value}, {"k": reference}, how, "base")["k"]

    assert change("ratio") == value / reference
    assert change("absolute") == value - reference
    assert change("relative") == pytest.approx(change("ratio") - 1, abs=1e-9)


def test_what_has_no_reference_cannot_be_compared() -> None:
    with pytest.raises(CannotJudge, match="base has no value for k"):
        changes_of({"k": 1.0}, {}, "ratio", "base")


@pytest.mark.parametrize("how", ["ratio", "relative"])
def test_no_share_can_be_taken_of_nothing(how: str) -> None:
    with pytest.raises(CannotJudge, match=r"base is 0 for k, so no .* 'change: absolute'"):
        changes_of({"k": 1.0}, {"k": 0.0}, how, "base")
    assert changes_of({"k": 1.0}, {"k": 0.0}, "absolute", "base") == {"k": 1.0}


@pytest.mark.parametrize("reference", [float("nan"), float("inf")])
def test_a_reference_that_is_not_finite_compares_with_nothing(reference: float) -> None:
    with pytest.raises(CannotJudge, match="nothing can be compared"):
        changes_of({"k": 1.0}, {"k": reference}, "absolute", "base")


def test_the_unedited_reference_is_the_median_over_the_same_kind_in_layers_without_an_edit(
    records: ModuleType,
) -> None:
    scale = {records.name(layer): factor for layer, factor in enumerate([9, 9, 1, 2, 3, 4, 5, 6])}
    scale[records.name(7, "mlp.c_fc")] = 100.0
    model = edited_model(records.model(), frozenset({records.name(0), records.name(1, "mlp.c_fc")}))
    medians = unedited_medians(records.norms(scale), model)
    assert medians[records.name(0)] == 35.0  # of 10, 20, 30, 40, 50 and 60, in blocks 2 to 7
    assert medians[records.name(3, "mlp.c_fc")] == 10.0


def test_where_every_layer_is_edited_none_is_left_to_compare_with(records: ModuleType) -> None:
    model = edited_model(records.model(), frozenset(records.name(layer) for layer in range(8)))
    with pytest.raises(NothingSelected, match="none is left to compare with"):
        unedited_medians(records.norms(), model)


def test_only_matrices_have_unedited_counterparts(records: ModuleType) -> None:
    model = edited_model(records.model(), frozenset({records.name(0)}))
    with pytest.raises(CannotJudge, match="a value for each layer"):
        unedited_medians(records.by_layer([1.0] * 8), model)


def test_a_value_of_what_is_no_matrix_of_the_model_is_no_reference(records: ModuleType) -> None:
    model = edited_model(records.model(), frozenset({records.name(0)}))
    reading = records.norms()
    more = reading.model_copy(update={"values": {**reading.values, "an.adapter.weight": 1e9}})
    assert unedited_medians(more, model) == unedited_medians(reading, model)


def test_rounding_is_measured_by_the_largest_number_of_a_difference() -> None:
    values, references = {"a": 3.0, "b": -7.0}, {"a": 5.0, "b": float("inf")}
    assert scale_of(values, references, "absolute") == 7.0
    assert scale_of(values, references, "relative") == 1.0
    assert scale_of(values, references, "ratio") == 0.0
    assert scale_of({"b": float("nan")}, {"b": float("inf")}, "absolute") == 0.0
