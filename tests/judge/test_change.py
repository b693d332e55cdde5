"""Values against what they are compared with."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stability.judge.change import compare, previous_checkpoint, unedited_medians
from stability.judge.reasons import CannotJudge, NothingSelected
from stability.judge.select import Scene

NUMBERS = st.floats(0.01, 100.0)


@given(NUMBERS, NUMBERS)
def test_ratio_absolute_and_relative_are_what_they_say(value: float, reference: float) -> None:
    def change(how: str) -> float:
        return compare({"k": value}, {"k": reference}, how, "base")["k"]

    assert change("ratio") == value / reference
    assert change("absolute") == value - reference
    assert change("relative") == pytest.approx(change("ratio") - 1, abs=1e-9)


def test_what_has_no_reference_cannot_be_compared() -> None:
    with pytest.raises(CannotJudge, match="base has no value for k"):
        compare({"k": 1.0}, {}, "ratio", "base")


@pytest.mark.parametrize("how", ["ratio", "relative"])
def test_no_share_can_be_taken_of_nothing(how: str) -> None:
    with pytest.raises(CannotJudge, match=r"base is 0 for k, so no .* 'change: absolute'"):
        compare({"k": 1.0}, {"k": 0.0}, how, "base")
    assert compare({"k": 1.0}, {"k": 0.0}, "absolute", "base") == {"k": 1.0}


@pytest.mark.parametrize("reference", [float("nan"), float("inf")])
def test_a_reference_that_is_not_finite_compares_with_nothing(reference: float) -> None:
    with pytest.raises(CannotJudge, match="nothing can be compared"):
        compare({"k": 1.0}, {"k": reference}, "absolute", "base")


def test_the_unedited_reference_is_the_median_over_the_same_kind_in_layers_without_an_edit(
    records: ModuleType,
) -> None:
    scale = {records.name(layer): factor for layer, factor in enumerate([9, 9, 1, 2, 3, 4, 5, 6])}
    scale[records.name(7, "mlp.c_fc")] = 100.0
    scene = Scene(records.model(), frozenset({records.name(0), records.name(1, "mlp.c_fc")}))
    medians = unedited_medians(records.norms(scale), scene)
    assert medians[records.name(0)] == 35.0  # of 10, 20, 30, 40, 50 and 60, in blocks 2 to 7
    assert medians[records.name(3, "mlp.c_fc")] == 10.0


def test_where_every_layer_is_edited_none_is_left_to_compare_with(records: ModuleType) -> None:
    scene = Scene(records.model(), frozenset(records.name(layer) for layer in range(8)))
    with pytest.raises(NothingSelected, match="none is left to compare with"):
        unedited_medians(records.norms(), scene)


def test_only_matrices_have_unedited_counterparts(records: ModuleType) -> None:
    scene = Scene(records.model(), frozenset({records.name(0)}))
    with pytest.raises(CannotJudge, match="a value for each layer"):
        unedited_medians(records.by_layer([1.0] * 8), scene)


class TestPrevious:
    """`relative_to: previous` takes the same editor's run at the same seed from an earlier record."""

    def test_the_same_checkpoint_of_the_same_run_is_found(self, records: ModuleType) -> None:
        base, run = records.whole_run(at=(20, 40))
        record = records.record(base, [run])
        assert previous_checkpoint(record, run, 40, record) is run.checkpoints[1]
        assert previous_checkpoint(record, run, 0, record) is base

    def test_without_a_baseline_it_says_so(self, records: ModuleType) -> None:
        base, run = records.whole_run(at=(20,))
        with pytest.raises(CannotJudge, match="no baseline"):
            previous_checkpoint(records.record(base, [run]), run, 20, None)

    @pytest.mark.parametrize(("field", "what"), [("model", "another model"), ("text", "another text")])
    def test_a_baseline_of_something_else_is_refused(
        self, records: ModuleType, field: str, what: str
    ) -> None:
        base, run = records.whole_run(at=(20,))
        record = records.record(base, [run])
        other = (
            {"model": record.model.model_copy(update={"fingerprint": "e" * 64})}
            if field == "model"
            else {"text_fingerprint": "e" * 64}
        )
        with pytest.raises(CannotJudge, match=what):
            previous_checkpoint(record, run, 20, record.model_copy(update=other))

    def test_other_edits_editors_or_checkpoints_are_refused(self, records: ModuleType) -> None:
        base, run = records.whole_run(at=(20,))
        record = records.record(base, [run])
        fewer = run.model_copy(update={"checkpoints": ()})
        shuffled = run.model_copy(update={"edits": run.edits[::-1]})
        for baseline, complaint in (
            (records.record(base, [run.model_copy(update={"seed": 3})]), "no run of memit at seed 0"),
            (records.record(base, [fewer]), "no checkpoint at 20 edits"),
            (records.record(base, [shuffled]), "made other edits"),
        ):
            with pytest.raises(CannotJudge, match=complaint):
                previous_checkpoint(record, run, 20, baseline)
