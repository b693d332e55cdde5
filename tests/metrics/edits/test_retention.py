from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from stability.data.edits import Edit, load_edits
from stability.metrics import Context, edit_outcomes, find_metric
from stability.models import LoadedModel, Snapshot, TokenizedText
from stability.record import Problem
from stability.suite import EditsSpec


@pytest.fixture(scope="module")
def held() -> tuple[Edit, ...]:
    """Requests for what the built-in model says anyway, so that they hold on it as if it had been edited."""
    edits = load_edits(EditsSpec(source="world", count=16), seed=1)
    return tuple(replace(edit, target=str(edit.target_true), target_true=edit.target) for edit in edits)


@pytest.fixture
def after(
    world: LoadedModel, world_text: TokenizedText, context_of: Callable[..., Context]
) -> Iterator[Callable[..., Context]]:
    """A context of the built-in model after edits; whatever a test does to the model is undone."""
    snapshot = Snapshot(world.model)
    base = context_of(world.model, world_text)
    base.tokenizer = world.tokenizer

    def make(edits: tuple[Edit, ...]) -> Context:
        outcomes = edit_outcomes(world.model, world.tokenizer, edits)
        return replace(base, edits=edits, outcomes=tuple(outcomes))

    yield make
    snapshot.restore(world.model)


def value(name: str, context: Context) -> Any:
    return find_metric(name)().measure(context).values[""]


def shake(world: LoadedModel) -> None:
    """Damage the model, so that it forgets some of what it knew."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        weight = world.model.transformer.h[0].mlp.c_proj.weight
        weight.data.add_(torch.randn_like(weight) * weight.std() * 20)


def test_edits_that_hold_are_retained(after: Callable[..., Context], held: tuple[Edit, ...]):
    context = after(held)
    assert value("retention", context) == value("retention_accuracy", context) == 1


def test_retention_asks_the_model_as_it_is_now(
    world: LoadedModel, after: Callable[..., Context], held: tuple[Edit, ...]
):
    context = after(held)
    shake(world)
    now = edit_outcomes(world.model, world.tokenizer, held)
    assert value("retention", context) == sum(bool(one.success) for one in now) / len(held) < 1
    assert value("retention_accuracy", context) == sum(bool(one.accurate) for one in now) / len(held) < 1
    assert value("edit_success", context) == value("edit_accuracy", context) == 1


def test_an_edit_without_a_true_target_is_retained_if_it_is_accurate(
    world: LoadedModel, after: Callable[..., Context], held: tuple[Edit, ...]
):
    bare = tuple(replace(edit, target_true=None) for edit in held)
    context = after(bare)
    shake(world)
    assert value("retention", context) == value("retention_accuracy", context)
    mixed = replace(held[0], target="nothing", target_true=None)
    assert value("retention", replace(context, edits=(*bare[1:], mixed))) < 1


def test_a_later_edit_of_the_same_fact_takes_the_place_of_an_earlier_one(
    after: Callable[..., Context], held: tuple[Edit, ...]
):
    first = replace(held[0], id="earlier", target=str(held[0].target_true), target_true=held[0].target)
    assert value("retention", after((first, *held[1:]))) == 1 - 1 / len(held)
    assert value("retention", after((first, *held))) == 1
    assert value("retention", after((*held, first))) == 1 - 1 / len(held)


def test_edit_by_edit_it_is_known_which_ones_hold(
    world: LoadedModel, after: Callable[..., Context], held: tuple[Edit, ...]
):
    context = after(held)
    shake(world)
    reading = find_metric("edit_retention")().measure(context)
    now = edit_outcomes(world.model, world.tokenizer, held)
    assert reading.values == {str(i): float(bool(one.success)) for i, one in enumerate(now, start=1)}
    assert 0 < sum(reading.values.values()) < len(held)


def test_an_edit_that_was_made_again_is_left_out_of_the_list(
    after: Callable[..., Context], held: tuple[Edit, ...]
):
    reading = find_metric("edit_retention")().measure(after((*held, replace(held[0], id="again"))))
    assert reading.left_out == {"1": Problem(kind="superseded", message="edited again later")}
    assert list(reading.values) == [str(number) for number in range(2, len(held) + 2)]


def test_the_model_is_asked_once_for_all_three(
    after: Callable[..., Context], held: tuple[Edit, ...], monkeypatch: pytest.MonkeyPatch
):
    asked: list[int] = []

    def counting(model: Any, tokenizer: Any, edits: Any) -> Any:
        asked.append(len(edits))
        return edit_outcomes(model, tokenizer, edits)

    context = after(held)
    monkeypatch.setattr("stability.metrics.scoring.outcome.edit_outcomes", counting)
    for name in ("retention", "retention_accuracy", "edit_retention"):
        find_metric(name)().measure(context)
    assert asked == [len(held)]
