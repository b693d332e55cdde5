from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stability.data.edits import Edit
from stability.errors import MeasurementError
from stability.metrics import Context, Skipped, find_metric
from stability.record import EditOutcome

AFTER_EACH = ("edit_success", "edit_accuracy", "paraphrase_success", "neighborhood_success")
ALL = (*AFTER_EACH, "retention", "retention_accuracy", "edit_retention")


def edit(number: int, **changes: Any) -> Edit:
    content = {
        "target": "red",
        "target_true": "blue",
        "paraphrase_prompts": ("p",),
        "neighborhood_prompts": ("n",),
    }
    return Edit(id=f"e{number}", prompt="{} is", subject=f"S{number}", **{**content, **changes})


def outcome(number: int, **changes: Any) -> EditOutcome:
    content = {"success": True, "accurate": True, "paraphrase_success": 1.0, "neighborhood_success": 1.0}
    return EditOutcome(
        id=f"e{number}", prompt="{} is", subject=f"S{number}", target="red", **{**content, **changes}
    )


@pytest.fixture
def after(build_model: Callable[..., Any], context_of: Callable[..., Context]) -> Callable[..., Context]:
    """A context after edits with these outcomes; what the model is does not matter."""
    base = context_of(build_model())

    def make(edits: list[Edit], outcomes: list[EditOutcome]) -> Context:
        base.edits, base.outcomes = tuple(edits), tuple(outcomes)
        return base

    return make


def value(name: str, context: Context) -> float:
    reading = find_metric(name)().measure(context)
    assert (reading.over, set(reading.values)) == ("scalar", {""})
    return reading.values[""]


@pytest.mark.parametrize("name", ALL)
def test_before_any_edit_there_is_nothing_to_measure(name: str, after: Callable[..., Context]):
    with pytest.raises(Skipped, match="no edits made"):
        find_metric(name)().measure(after([], []))


def test_each_is_the_mean_over_all_edits_so_far(after: Callable[..., Context]):
    outcomes = [
        outcome(1, success=True, accurate=False, paraphrase_success=0.5, neighborhood_success=0.25),
        outcome(2, success=True, accurate=True, paraphrase_success=1.0, neighborhood_success=0.75),
        outcome(3, success=False, accurate=False, paraphrase_success=0.0, neighborhood_success=1.0),
        outcome(4, success=True, accurate=False, paraphrase_success=1.0, neighborhood_success=0.0),
    ]
    context = after([edit(n) for n in range(1, 5)], outcomes)
    assert [value(name, context) for name in AFTER_EACH] == [0.75, 0.25, 0.625, 0.5]


def test_edits_without_paraphrases_do_not_count_among_those_that_have_some(after: Callable[..., Context]):
    edits = [edit(1), edit(2, paraphrase_prompts=())]
    outcomes = [outcome(1, paraphrase_success=0.5), outcome(2, paraphrase_success=None)]
    assert value("paraphrase_success", after(edits, outcomes)) == 0.5


@pytest.mark.parametrize("kind", ["paraphrase", "neighborhood"])
def test_edits_that_bring_no_such_prompts_are_a_skip(kind: str, after: Callable[..., Context]):
    context = after([edit(1, **{f"{kind}_prompts": ()})], [outcome(1, **{f"{kind}_success": None})])
    with pytest.raises(Skipped, match=f"no {kind} prompts"):
        find_metric(f"{kind}_success")().measure(context)


@pytest.mark.parametrize("name", ["edit_success", "paraphrase_success", "neighborhood_success"])
def test_without_a_true_target_success_is_an_error_that_names_the_edit(
    name: str, after: Callable[..., Context]
):
    unknown = {"success": None, "paraphrase_success": None, "neighborhood_success": None}
    context = after([edit(1), edit(2, target_true=None)], [outcome(1), outcome(2, **unknown)])
    with pytest.raises(MeasurementError, match="edit e2 has no target_true"):
        find_metric(name)().measure(context)
    assert value("edit_accuracy", context) == 1
