"""What the editors that train do to the built-in model with their presets, over twenty edits in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import nn

from stability.data.documents import load_documents
from stability.data.edits import Edit, load_edits
from stability.editors import Store, find_editor
from stability.models import LoadedModel, Snapshot
from stability.suite import EditsSpec
from stability.world import build_world

pytestmark = pytest.mark.usefixtures("restored")


@torch.no_grad()
def wins(model: nn.Module, tokenizer: Any, edit: Edit) -> bool:
    """Whether the edit's target, of one token, is more probable than what was true."""
    logits = model(input_ids=torch.tensor([tokenizer(edit.filled)["input_ids"]])).logits[0, -1]
    new, old = (tokenizer(f" {answer}")["input_ids"][0] for answer in (edit.target, edit.target_true))
    return bool(logits[new] > logits[old])


@dataclass
class Outcome:
    success: float  # the share of edits that took, each asked right after it
    reported: Sequence[dict[str, float]]


def edited_in_turn(
    name: str, world: LoadedModel, shared_store: Store, seed: int, settings: dict[str, Any] | None = None
) -> Outcome:
    editor = find_editor(name, settings or {}, "world")
    model, took, reported = world.model, [], []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        editor.prepare(world.model, world.tokenizer, shared_store)
        for number, edit in enumerate(load_edits(EditsSpec(source="world", count=20), seed=seed)):
            torch.manual_seed(number)
            model = editor.edit(model, world.tokenizer, [edit])
            reported += editor.report(1)
            took.append(wins(model, world.tokenizer, edit))
    if model is not world.model:
        model.unload()  # type: ignore[operator]
    return Outcome(sum(took) / 20, reported)


@pytest.mark.torture  # its training takes a minute
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_edits_by_mend_take_after_training_on_others(
    world: LoadedModel, shared_store: Store, seed: int
) -> None:
    assert edited_in_turn("mend", world, shared_store, seed).success >= 0.8


def test_mend_learns_from_no_subject_that_a_run_edits() -> None:
    learnt = load_edits(EditsSpec(source="world_examined", count=480), seed=0)
    edited = load_edits(EditsSpec(source="world", count=960), seed=0)
    assert not {edit.subject for edit in learnt} & {edit.subject for edit in edited}
    assert len({edit.id for edit in learnt}) == 480
    assert all(edit.target != edit.target_true and edit.paraphrase_prompts for edit in learnt)
    assert not any(edit.subject in prompt for edit in learnt for prompt in edit.neighborhood_prompts)


def test_the_text_of_another_world_has_the_same_words_and_other_facts(world: LoadedModel) -> None:
    documents = load_documents("other_world")
    known = {fact.sentence(template) for fact in build_world().facts for template in fact.templates}
    news = {fact.sentence(template) for fact in build_world(seed=1).facts for template in fact.templates}
    assert not any(world.tokenizer.unk_token_id in world.tokenizer(text)["input_ids"] for text in documents)
    assert sum(any(one in text for one in news - known) for text in documents[:40]) >= 36
    assert not any(one in text for one in known - news for text in documents[:40])


@pytest.mark.parametrize("merge", [True, False])
def test_edits_by_lora_take(world: LoadedModel, shared_store: Store, merge: bool) -> None:
    assert edited_in_turn("lora", world, shared_store, 0, {"merge": merge}).success >= 0.9


def test_edits_by_ft_l_take_and_stay_in_their_boxes(
    world: LoadedModel, pristine: Snapshot, shared_store: Store
) -> None:
    assert edited_in_turn("ft_l", world, shared_store, 0).success >= 0.8
    (name,) = pristine.changed(world.model)
    moved = (world.model.get_parameter(name) - pristine.tensor(name)).abs().max()
    assert 0.005 < moved <= 20 * 0.005


def test_fine_tuning_of_all_weights_learns_each_statement(world: LoadedModel, shared_store: Store) -> None:
    outcome = edited_in_turn("full_ft", world, shared_store, 0)
    assert outcome.success >= 0.9
    first = sum(row["first_loss"] for row in outcome.reported) / 20
    assert sum(row["training_loss"] for row in outcome.reported) / 20 < 0.2 * first


def test_continual_pretraining_learns_its_text_and_text_like_it(
    world: LoadedModel, shared_store: Store
) -> None:
    reported = edited_in_turn("cpt", world, shared_store, 0).reported
    for figure in ("training_loss", "held_loss"):
        start, end = (sum(row[figure] for row in part) / 5 for part in (reported[:5], reported[-5:]))
        assert end < 0.85 * start
