"""Each broken editor fails the check that names its mistake, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from stability.data.edits import load_edits
from stability.models import LoadedModel, Snapshot, load_model
from stability.run.surroundings import FLAGS, GRAD_MODE, flags_kept
from stability.suite import EditsSpec, ModelSpec
from stability.testing import ConformanceFailure, check_editor
from stability.testing.conformance import Conformance, examine

SOUND = ["sound", "draws_from_the_global_generators", "SaysWhatItCounts", "knows_gpt2_only"]
MISTAKES = {
    "raises_always": "edits_without_error",
    "does_nothing": "edits_take_effect",
    "writes_nan": "no_nan",
    "edits_the_embedding": "only_weights_change_that_may",
    "edits_a_norm": "only_weights_change_that_may",
    "PrepareEdits": "prepare_changes_no_weight",
    "leaves_train_mode": "model_left_in_eval_mode",
    "leaves_a_hook": "hooks_removed",
    "leaves_a_state_dict_hook": "hooks_removed",
    "leaves_a_wrapper": "modules_left_alone",
    "replaces_a_forward": "modules_left_alone",
    "leaves_a_parameter_asking_for_gradients": "grad_state_left_alone",
    "leaves_a_gradient": "grad_state_left_alone",
    "leaves_gradients_off": "grad_state_left_alone",
    "leaves_another_default_dtype": "global_state_left_alone",
    "leaves_determinism_on": "global_state_left_alone",
    "leaves_numpy_strict": "global_state_left_alone",
    "empties_the_list": "does_not_alter_its_input",
    "sets_the_padding_token": "does_not_alter_its_input",
    "switches_the_cache_off": "does_not_alter_its_input",
    "draws_unseeded": "same_seed_same_result",
    "RemembersItsFirstModel": "a_second_run_starts_clean",
    "RemembersItsEdits": "a_second_run_starts_clean",
    "RemembersItsFirstTargets": "a_second_run_starts_clean",
    "CountsItsEdits": "state_round_trips",
    "KeepsAnObject": "state_round_trips",
    "takes_the_first_only": "batch_takes_effect",
    "sorts_its_edits": "batch_keeps_its_order",
    "wants_a_list": "takes_a_tuple_of_edits",
    "wants_gradients_on": "works_under_no_grad",
    "ReportsInfinity": "reports_each_edit",
    "OverlooksSettings": "settings_are_checked",
    "reads_ascii_only": "survives_unusual_subjects",
    "refuses_without_a_name": "survives_unusual_subjects",
}


@pytest.fixture(scope="module")
def world() -> LoadedModel:
    return load_model(ModelSpec(name="world"))


@pytest.fixture(scope="module")
def on_world(world: LoadedModel) -> dict[str, Any]:
    """Options that make the checks on the built-in model, loaded once."""
    edits = load_edits(EditsSpec(source="world", count=7), 0)
    return {"model": world.model, "tokenizer": world.tokenizer, "edits": edits}


def failed(conformance: Conformance) -> list[str]:
    return [result.name for result in conformance.of("fail")]


@pytest.mark.parametrize("name", SOUND)
def test_an_editor_without_a_mistake_fails_nothing(name, broken, on_world, store):
    found = check_editor(getattr(broken, name), **on_world, store=store)
    assert found.exit_status == 0
    assert len(found.of("pass")) >= 18


@pytest.mark.parametrize("name", MISTAKES)
def test_an_editor_with_one_mistake_fails_the_check_that_names_it(name, broken, on_world, store):
    found = examine(getattr(broken, name), **on_world, checks=[MISTAKES[name]], store=store)
    assert failed(found) == [MISTAKES[name]]
    assert found.exit_status == 1
    assert all(result.reason for result in found.of("fail"))


@pytest.mark.torture  # sound editors fail none of them either
@pytest.mark.parametrize("name", MISTAKES)
def test_it_fails_no_other(name, broken, on_world, store):
    found = examine(getattr(broken, name), **on_world, store=store)
    assert failed(found) == [MISTAKES[name]]
    assert all(result.reason for result in found.of("skip"))


@pytest.mark.parametrize(
    "name",
    ["leaves_another_default_dtype", "leaves_determinism_on", "leaves_numpy_strict", "leaves_gradients_off"],
)
def test_flags_that_an_editor_leaves_set_are_put_back(name, broken, on_world, store):
    before = {flag.name: flag.read() for flag in (*FLAGS, GRAD_MODE)}
    with flags_kept():
        examine(getattr(broken, name), **on_world, store=store, checks=["global_state_left_alone"])
        assert {flag.name: flag.read() for flag in (*FLAGS, GRAD_MODE)} == before


def test_an_editor_that_fits_one_tokenizer_only_is_found_out_on_other_models(broken, on_world, store):
    found = examine(broken.knows_eight_hundred_tokens, **on_world, store=store)
    assert failed(found) == ["survives_unusual_subjects", "runs_on_gpt2", "runs_on_llama"]


def test_what_an_editor_leaves_behind_does_not_reach_the_model_it_is_checked_on(
    broken, world, on_world, store
):
    pristine = Snapshot(world.model)
    with pytest.raises(ConformanceFailure, match="leaves_a_wrapper fails 1 checks:\n  modules_left_alone: "):
        check_editor(broken.leaves_a_wrapper, **on_world, store=store, checks=["modules_left_alone"])
    assert pristine.changed(world.model) == ()
    assert not hasattr(world.model.transformer.h[-1].mlp, "inner")


def test_what_an_editor_may_do_can_be_declared(broken, on_world, store):
    options = {**on_world, "store": store}
    check_editor(
        broken.edits_a_norm,
        may_change=["transformer.ln_f.weight", "transformer.h.0.mlp.*"],
        checks=["only_weights_change_that_may"],
        **options,
    )
    found = check_editor(broken.leaves_a_wrapper, adds_modules=True, checks=["modules_left_alone"], **options)
    assert found.results[0].reason == "the editor is declared to leave modules of its own"
    assert found.exit_status == 3  # nothing was checked


def test_an_edit_may_be_refused_by_name(broken, on_world, store):
    options = {**on_world, "store": store, "checks": ["survives_unusual_subjects"]}
    (result,) = check_editor(broken.refuses_what_is_not_ascii, **options).results
    assert result.reason == "10 kinds made; refused: accents, combining, emoji and 2 more"


def test_a_share_of_targets_must_win(broken, on_world, store):
    """One small step makes every target more probable, but none so probable as the true one."""

    def timid(model, tokenizer, edits):
        for edit in edits:
            broken.learn(model, tokenizer, edit, rate=1e-5)

    options = {**on_world, "store": store, "checks": ["edits_take_effect"]}
    (result,) = examine(timid, **options).results
    assert result.status == "fail"
    assert "0 of 5 targets" in result.reason
    (result,) = examine(timid, share=0.0, **options).results
    assert result.status == "pass"


def test_a_check_that_rests_on_one_that_fails_is_skipped_and_says_so(broken, on_world, store):
    found = examine(broken.draws_unseeded, **on_world, store=store)
    skipped = {result.name: result.reason for result in found.of("skip")}
    assert skipped["a_second_run_starts_clean"] == "cannot be told: the same seed gives different results"
    for name in ("state_round_trips", "works_under_no_grad", "survives_unusual_subjects"):
        assert "cannot be told" in skipped[name]
