"""What the built-in editors do to the built-in model with their presets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from stability.data.edits import Edit, load_edits
from stability.editors import Store, find_editor
from stability.models import LoadedModel, Snapshot, map_model
from stability.suite import EditsSpec

SINGLE = 20
EDITED = "transformer.h.0.mlp.c_proj.weight"


pytestmark = pytest.mark.usefixtures("restored")


@dataclass
class Score:
    """Shares of prompts, as CounterFact counts them."""

    success: float
    paraphrase: float
    neighborhood: float


@torch.no_grad()
def wins(world: LoadedModel, questions: Sequence[tuple[str, str, str]]) -> float:
    """How often the first of two one-token answers is more probable than the second."""
    won = 0
    for prompt, first, second in questions:
        logits = world.model(input_ids=torch.tensor([world.tokenizer(prompt)["input_ids"]])).logits[0, -1]
        one, two = (world.tokenizer(" " + answer)["input_ids"][0] for answer in (first, second))
        won += bool(logits[one] > logits[two])
    return won / len(questions)


def score(world: LoadedModel, edits: Sequence[Edit]) -> Score:
    def truth(edit: Edit) -> str:
        assert edit.target_true is not None
        return edit.target_true

    return Score(
        wins(world, [(edit.filled, edit.target, truth(edit)) for edit in edits]),
        wins(world, [(p, edit.target, truth(edit)) for edit in edits for p in edit.paraphrase_prompts]),
        wins(world, [(p, truth(edit), edit.target) for edit in edits for p in edit.neighborhood_prompts[:3]]),
    )


def growth(model: nn.Module, pristine: Snapshot) -> float:
    norm: torch.Tensor = (
        map_model(model).weight(EDITED).double().norm() / pristine.tensor(EDITED).double().norm()
    )
    return norm.item()


def edited_in_turn(
    name: str, world: LoadedModel, shared_store: Store, edits: Sequence[Edit], seed: int
) -> None:
    editor = find_editor(name, {}, "world")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        editor.prepare(world.model, world.tokenizer, shared_store)
        for edit in edits:
            editor.edit(world.model, world.tokenizer, [edit])


def test_single_rome_edits_take_generalise_and_stay_local(
    world: LoadedModel, pristine: Snapshot, shared_store: Store
) -> None:
    editor = find_editor("rome", {}, "world")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        editor.prepare(world.model, world.tokenizer, shared_store)
    scores = []
    for edit in load_edits(EditsSpec(source="world", count=SINGLE), seed=5):
        editor.edit(world.model, world.tokenizer, [edit])
        assert pristine.changed(world.model) == (EDITED,)
        scores.append(score(world, [edit]))
        pristine.restore(world.model)
    assert sum(one.success for one in scores) / SINGLE >= 0.95
    assert sum(one.paraphrase for one in scores) / SINGLE >= 0.80
    assert sum(one.neighborhood for one in scores) / SINGLE >= 0.80


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_twenty_rome_edits_in_turn_are_kept_and_the_norm_stays_below_twice(
    world: LoadedModel, pristine: Snapshot, shared_store: Store, seed: int
) -> None:
    edits = load_edits(EditsSpec(source="world", count=20), seed=seed)
    edited_in_turn("rome", world, shared_store, edits, seed)
    now = score(world, edits)
    assert now.success >= 0.90
    assert now.paraphrase >= 0.80
    assert now.neighborhood >= 0.90
    assert 1.05 < growth(world.model, pristine) <= 2.0


def test_twenty_fine_tunings_in_turn_ruin_what_they_do_not_speak_of(
    world: LoadedModel, shared_store: Store
) -> None:
    edits = load_edits(EditsSpec(source="world", count=20), seed=0)
    assert score(world, edits).neighborhood >= 0.95
    edited_in_turn("ft", world, shared_store, edits, 0)
    now = score(world, edits)
    assert wins(world, [(edits[-1].filled, edits[-1].target, edits[-1].target_true or "")]) == 1.0
    assert now.neighborhood < 0.8
    assert now.success < 0.9
