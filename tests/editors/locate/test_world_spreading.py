"""What MEMIT and its kin do to the built-in model with their presets, over twenty edits in turn."""

from __future__ import annotations

import pytest
import torch

from stability.data.edits import Edit, load_edits
from stability.editors import Store, find_editor
from stability.models import LoadedModel, Snapshot, map_model
from stability.suite import EditsSpec

EDITS = 20
OTHERS = [("emmet", 1), ("encore", 2), ("nas", 1), ("pmet", 2)]  # which share most of their way with the two


pytestmark = pytest.mark.usefixtures("restored")


@torch.no_grad()
def share(world: LoadedModel, edit: Edit, prompts: tuple[str, ...]) -> float:
    """On how many of the prompts the edit's target is more probable than the true object."""
    wins = 0
    target, truth = (world.tokenizer(f" {text}")["input_ids"][0] for text in (edit.target, edit.target_true))
    for prompt in prompts:
        logits = world.model(input_ids=torch.tensor([world.tokenizer(prompt)["input_ids"]])).logits[0, -1]
        wins += bool(logits[target] > logits[truth])
    return wins / len(prompts)


def mean(shares: list[float]) -> float:
    return sum(shares) / len(shares)


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("memit", 0),
        ("alphaedit", 1),
        *(pytest.param(name, seed, marks=pytest.mark.torture) for name, seed in OTHERS),
    ],
)
def test_edits_in_turn_take_generalise_and_stay_local_and_the_norms_stay_below_twice(
    world: LoadedModel, pristine: Snapshot, shared_store: Store, name: str, seed: int
) -> None:
    edits = load_edits(EditsSpec(source="world", count=EDITS), seed=seed)
    editor = find_editor(name, {}, "world")
    took = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        editor.prepare(world.model, world.tokenizer, shared_store)
        for edit in edits:
            editor.edit(world.model, world.tokenizer, [edit])
            took.append(share(world, edit, (edit.filled,)))
    assert mean(took) >= 0.95
    assert mean([share(world, edit, (edit.filled,)) for edit in edits]) >= 0.9
    assert mean([share(world, edit, edit.paraphrase_prompts) for edit in edits]) >= 0.8
    assert mean([share(world, edit, edit.neighborhood_prompts[:3]) for edit in edits]) <= 0.1
    found = map_model(world.model)
    touched = editor.touched(found)
    assert touched is not None
    assert pristine.changed(world.model) == touched
    for parameter in touched:
        growth = found.weight(parameter).norm() / pristine.tensor(parameter).norm()
        assert 1.0 < growth <= 2.0


def test_a_batch_of_edits_takes(world: LoadedModel, shared_store: Store) -> None:
    edits = load_edits(EditsSpec(source="world", count=EDITS), seed=0)
    editor = find_editor("memit", {}, "world")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        editor.prepare(world.model, world.tokenizer, shared_store)
        editor.edit(world.model, world.tokenizer, edits)
    assert mean([share(world, edit, (edit.filled,)) for edit in edits]) >= 0.95
