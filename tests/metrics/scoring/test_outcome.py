from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import nn

from stability.data.edits import Edit, load_edits
from stability.errors import DataError, MeasurementError
from stability.metrics import edit_outcomes
from stability.metrics.scoring import outcome as scoring
from stability.models import LoadedModel, Snapshot, model_fingerprint, tokenizer_fingerprint
from stability.suite import EditsSpec


@pytest.fixture(scope="module")
def edits() -> tuple[Edit, ...]:
    """Edits of the built-in world: what they ask for is not what the unedited model knows."""
    return load_edits(EditsSpec(source="world", count=6), seed=0)


def known(edit: Edit) -> Edit:
    """The edit turned round: it asks for what the unedited model says anyway."""
    return replace(edit, target=str(edit.target_true), target_true=edit.target)


def mean_log_prob(world: LoadedModel, prompt: str, target: str) -> tuple[float, bool]:
    """Token by token, in float64, one text at a time."""
    start = len(world.tokenizer(prompt)["input_ids"])
    ids = world.tokenizer(f"{prompt} {target}")["input_ids"]
    with torch.no_grad():
        rows = world.model(torch.tensor([ids])).logits[0, start - 1 : -1].double().log_softmax(-1)
    picked = rows[range(len(ids) - start), ids[start:]]
    return float(picked.mean()), rows.argmax(-1).tolist() == ids[start:]


def shares(world: LoadedModel, edit: Edit, prompts: Sequence[str]) -> float:
    """The share of prompts on which the edit's target beats the true one."""
    wins = [
        mean_log_prob(world, prompt, edit.target)[0] > mean_log_prob(world, prompt, str(edit.target_true))[0]
        for prompt in prompts
    ]
    return sum(wins) / len(wins)


@pytest.mark.parametrize("turned", [False, True], ids=["edits", "turned round"])
def test_outcomes_are_those_of_scoring_one_prompt_at_a_time(
    world: LoadedModel, edits: tuple[Edit, ...], turned: bool
):
    asked = [known(edit) if turned else edit for edit in edits]
    for edit, outcome in zip(asked, edit_outcomes(world.model, world.tokenizer, asked), strict=True):
        assert (outcome.id, outcome.target, outcome.target_true) == (edit.id, edit.target, edit.target_true)
        assert outcome.success == bool(shares(world, edit, [edit.filled]))
        assert outcome.accurate == mean_log_prob(world, edit.filled, edit.target)[1]
        assert outcome.paraphrase_success == shares(world, edit, edit.paraphrase_prompts)
        assert outcome.neighborhood_success == 1 - shares(world, edit, edit.neighborhood_prompts)


def test_many_edits_are_asked_about_some_at_a_time_and_answer_alike(
    world: LoadedModel, edits: tuple[Edit, ...], monkeypatch: pytest.MonkeyPatch
):
    together = edit_outcomes(world.model, world.tokenizer, edits)
    monkeypatch.setattr(scoring, "AT_ONCE", 4)
    sizes = []
    scored = scoring.score_targets

    def score(model, tokenizer, asked):
        sizes.append(len(asked))
        return scored(model, tokenizer, asked)

    monkeypatch.setattr(scoring, "score_targets", score)
    assert edit_outcomes(world.model, world.tokenizer, edits) == together
    assert len(sizes) == 2
    assert sizes[0] > sizes[1]
    assert edit_outcomes(world.model, world.tokenizer, ()) == []


def test_the_unedited_model_fails_edits_and_passes_what_it_knows(world: LoadedModel, edits: tuple[Edit, ...]):
    for outcome in edit_outcomes(world.model, world.tokenizer, edits):
        assert (outcome.success, outcome.accurate, outcome.paraphrase_success) == (False, False, 0)
        assert outcome.neighborhood_success > 0.8
    for outcome in edit_outcomes(world.model, world.tokenizer, [known(edit) for edit in edits]):
        assert (outcome.success, outcome.accurate) == (True, True)
        assert outcome.paraphrase_success > 0.8
        assert outcome.neighborhood_success < 0.2


def test_an_outcome_does_not_depend_on_the_edits_beside_it(world: LoadedModel, edits: tuple[Edit, ...]):
    together = edit_outcomes(world.model, world.tokenizer, edits)
    assert together == [edit_outcomes(world.model, world.tokenizer, [edit])[0] for edit in edits]


def test_targets_of_unequal_length_are_compared_by_their_mean(world: LoadedModel, edits: tuple[Edit, ...]):
    # The known target with a word more has the higher mean and the lower sum than an unlikely single word.
    for edit in edits:
        true = str(edit.target_true)
        longer = replace(edit, target=f"{true} {true} {true} {true}", target_true=edit.target)
        ours = edit_outcomes(world.model, world.tokenizer, [longer])[0]
        mean_long, mean_short = (
            mean_log_prob(world, edit.filled, target)[0] for target in (longer.target, edit.target)
        )
        assert ours.success == (mean_long > mean_short)


def test_without_a_true_target_only_accuracy_is_measured(world: LoadedModel, edits: tuple[Edit, ...]):
    bare = replace(known(edits[0]), target_true=None)
    (outcome,) = edit_outcomes(world.model, world.tokenizer, [bare])
    assert outcome.accurate is True
    assert (outcome.success, outcome.paraphrase_success, outcome.neighborhood_success) == (None, None, None)


def test_an_edit_without_further_prompts_has_no_share_of_them(world: LoadedModel, edits: tuple[Edit, ...]):
    bare = replace(edits[0], paraphrase_prompts=(), neighborhood_prompts=())
    (outcome,) = edit_outcomes(world.model, world.tokenizer, [bare])
    assert (outcome.success, outcome.paraphrase_success, outcome.neighborhood_success) == (False, None, None)


def test_no_edits_give_no_outcomes(world: LoadedModel):
    assert edit_outcomes(world.model, world.tokenizer, []) == []


def test_measuring_leaves_model_and_tokenizer_as_they_were(world: LoadedModel, edits: tuple[Edit, ...]):
    before = model_fingerprint(world.model), tokenizer_fingerprint(world.tokenizer), torch.get_rng_state()
    evaluated = edit_outcomes(world.model, world.tokenizer, edits)
    world.model.train()
    trained = edit_outcomes(world.model, world.tokenizer, edits)
    assert world.model.training
    world.model.eval()
    assert trained == evaluated
    assert (model_fingerprint(world.model), tokenizer_fingerprint(world.tokenizer)) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_a_model_of_nans_has_no_outcomes(world: LoadedModel, edits: tuple[Edit, ...]):
    snapshot = Snapshot(world.model)
    weight: nn.Parameter = next(world.model.parameters())
    weight.data.fill_(float("nan"))
    try:
        with pytest.raises(MeasurementError, match="NaN"):
            edit_outcomes(world.model, world.tokenizer, edits)
    finally:
        snapshot.restore(world.model)


def test_a_target_without_tokens_is_an_error(world: LoadedModel, edits: tuple[Edit, ...]):
    with pytest.raises(DataError, match="no token"):
        edit_outcomes(world.model, world.tokenizer, [replace(edits[0], target_true=" ")])
