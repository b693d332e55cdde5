"""The guard on the built-in model: what it keeps, what it rolls back, and where a killed one goes on."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stability import Guard
from stability.data.edits import load_edits
from stability.editors import Store, wrap_editor
from stability.errors import UsageError
from stability.models import Snapshot, load_model
from stability.models.modes import random_state
from stability.store import tensors_fingerprint
from stability.suite import EditsSpec, ModelSpec, parse_suite

MATRIX = "transformer.h.1.mlp.c_proj.weight"


@pytest.fixture(scope="module")
def pristine():
    return load_model(ModelSpec(device="cpu"))


@pytest.fixture
def loaded(pristine):
    kept = Snapshot(pristine.model)
    yield pristine
    kept.restore(pristine.model)


@pytest.fixture(scope="module")
def facts():
    return load_edits(EditsSpec(count=8), 0)


ASKING = """
schema: 1
name: asking
text: {source: world, tokens: 200}
checks:
  finite: {metric: nonfinite, assert: "== 0"}
  right: {metric: edit_accuracy, assert: ">= 0"}
"""


def guarding(loaded, suite, **more):
    return Guard(loaded.model, loaded.tokenizer, suite, **more)


def weights(model):
    """Every tensor by name, those of buffers that are not saved included."""
    return {name: tensor.clone() for name, tensor in [*model.named_parameters(), *model.named_buffers()]}


def assert_same(model, before):
    now = weights(model)
    assert now.keys() == before.keys()
    assert [name for name in now if not torch.equal(now[name], before[name])] == []


def plainly(editor, batches, seed=0):
    """The weights after these batches and no others, made without a guard."""
    loaded = load_model(ModelSpec(device="cpu"))
    with random_state(seed):
        editor.prepare(loaded.model, loaded.tokenizer, Store())
    made = 0
    for batch in batches:
        with random_state(seed * 1_000_003 + made):
            editor.edit(loaded.model, loaded.tokenizer, batch)
        made += len(batch)
    return weights(loaded.model)


def named(kind, drifting):
    """Batches of which the second has a harmful edit of that kind."""
    good = [batch for batch in drifting.stream(60) if all(edit.id.startswith("good") for edit in batch)]
    bad = [drifting.edit(f"{kind}:x")]
    return good[0], [*good[1], *bad, *good[2]], good[3]


def test_two_hundred_edits_with_a_saboteur_end_in_the_weights_of_the_good_ones(loaded, drifting):
    batches = drifting.stream(200)
    editor = drifting.Drifting()
    with guarding(loaded, drifting.SUITE, seed=3) as guard:
        decisions = [guard.apply(editor, batch) for batch in batches]
        entries = guard.entries
    sabotaged = [any(not edit.id.startswith("good") for edit in batch) for batch in batches]
    assert [not decision.accepted for decision in decisions] == sabotaged
    assert 8 < sum(sabotaged) < len(batches) / 2
    assert all(bool(entry.reasons) is not entry.accepted for entry in entries)
    good = [batch for batch, bad in zip(batches, sabotaged, strict=True) if not bad]
    assert_same(loaded.model, plainly(drifting.Drifting(), good, seed=3))
    assert not loaded.model.training


def test_real_fine_tuning_under_a_guard_is_fine_tuning_without_the_refused_edits(loaded, facts, drifting):
    from stability.editors import find_editor

    class Sabotaged:
        def __init__(self):
            self.inner = find_editor("ft", {"num_steps": 3}, "world")

        def edit(self, model, tokenizer, edits):
            self.inner.edit(model, tokenizer, edits)
            if edits[0] is facts[2]:
                model.transformer.h[4].attn.c_proj.weight.data.mul_(1.5)

    with guarding(loaded, drifting.SUITE) as guard:
        accepted = [guard.apply(Sabotaged, [fact]).accepted for fact in facts]
    assert accepted == [fact is not facts[2] for fact in facts]
    expected = plainly(
        find_editor("ft", {"num_steps": 3}, "world"), [[f] for f in facts if f is not facts[2]]
    )
    assert_same(loaded.model, expected)


@pytest.mark.parametrize(
    "kind", ["grow", "nan", "raise", "hook", "half", "embedding", "wrap", "shape", "silent", "meta"]
)
def test_harm_of_any_kind_is_rolled_back_bit_for_bit_and_said(loaded, drifting, kind):
    first, second, third = named(kind, drifting)
    editor = drifting.Drifting()
    with guarding(loaded, drifting.SUITE) as guard:
        assert guard.apply(editor, first).accepted
        before, hooks = weights(loaded.model), len(loaded.model.transformer.h[0]._forward_hooks)
        remembered = editor.state()
        decision = guard.apply(editor, second)
        assert not decision.accepted
        assert decision.reasons
        assert_same(loaded.model, before)
        assert editor.state() == remembered
        assert len(loaded.model.transformer.h[0]._forward_hooks) == hooks
        assert not loaded.model.training
        assert guard.apply(editor, third).accepted
    assert_same(loaded.model, plainly(drifting.Drifting(), [first, third]))


def test_a_buffer_that_is_not_saved_is_put_back_too(loaded, drifting):
    def edit(model, tokenizer, edits):
        model.scratch.add_(1)
        model.get_parameter(MATRIX).data.mul_(2)

    loaded.model.register_buffer("scratch", torch.ones(3), persistent=False)
    try:
        with guarding(loaded, drifting.SUITE) as guard:
            assert guard.apply(edit, [drifting.edit("good:0")]).changed == (MATRIX, "scratch")
        assert torch.equal(loaded.model.scratch, torch.ones(3))
    finally:
        del loaded.model.scratch


def test_only_what_changed_is_restored_and_named(loaded, drifting, monkeypatch):
    from stability.guard import accepted

    put = []
    original = accepted.write
    monkeypatch.setattr(
        accepted, "write", lambda tensor, value: (put.append(tensor), original(tensor, value))
    )
    first, _, _ = named("grow", drifting)

    def grow(model, tokenizer, edits):
        model.get_parameter(MATRIX).data.mul_(2)

    with guarding(loaded, drifting.SUITE) as guard:
        guard.apply(drifting.Drifting(), first[:1])
        put.clear()
        decision = guard.apply(wrap_editor(grow), first)
    assert decision.changed == (MATRIX,)
    assert sum(tensor is loaded.model.get_parameter(MATRIX) for tensor in put) >= 1
    assert {tensor.shape for tensor in put} <= {loaded.model.get_parameter(MATRIX).shape}
    assert set(decision.seconds) == {"edit", "compare", "measure", "journal", "restore"}
    assert all(decision.seconds[stage] > 0 for stage in ("edit", "compare", "measure", "restore"))


def test_an_editor_that_returns_another_model_is_kept_by_its_values(loaded, drifting):
    import copy

    def edit(model, tokenizer, edits):
        edited = copy.deepcopy(model)
        edited.get_parameter(MATRIX).data.mul_(1.01)
        return edited

    expected = loaded.model.get_parameter(MATRIX).clone() * 1.01
    with guarding(loaded, drifting.SUITE) as guard:
        assert guard.apply(edit, drifting.stream(1)[0]).changed == (MATRIX,)
    assert torch.equal(loaded.model.get_parameter(MATRIX), expected)


def test_all_checks_are_made_every_so_many_accepted_batches(loaded, drifting):
    editor = drifting.Drifting()
    good = [batch for batch in drifting.stream(120) if all(edit.id.startswith("good") for edit in batch)]
    _, bad, _ = named("nan", drifting)
    with guarding(loaded, drifting.SUITE, every=3, cheap=["finite"]) as guard:
        checked = [guard.apply(editor, batch).checked for batch in (good[0], bad, good[1], bad, good[2])]
        assert checked == ["cheap", "cheap", "cheap", "all", "all"]
        assert guard.apply(editor, good[3]).checked == "cheap"


def test_harm_that_only_the_dear_checks_see_says_since_when_and_can_be_gone_back_behind(loaded, drifting):
    editor = drifting.Drifting()
    first, _, third = named("grow", drifting)
    sly = [drifting.edit("embedding:sly")]
    with guarding(loaded, drifting.SUITE, every=3, cheap=["finite"]) as guard:
        assert guard.apply(editor, first).accepted
        assert guard.apply(editor, sly).accepted
        decision = guard.apply(editor, third)
        assert not decision.accepted
        assert "entries from 1 on were not put to all checks" in decision.reasons[-1]
        guard.rewind(1)
        assert [edit.id for edit in guard.edits] == [edit.id for edit in first]
        assert guard.apply(editor, third).accepted
    assert_same(loaded.model, plainly(drifting.Drifting(), [first, third]))


@pytest.mark.parametrize("places", [(0,), (2, 3), (1, 6), (0, 1, 2, 3, 4, 5, 6)])
def test_bisecting_finds_the_harmful_edits_and_keeps_the_rest(loaded, drifting, places):
    batch = [drifting.edit(f"{'grow' if index in places else 'good'}:{index}") for index in range(7)]
    with guarding(loaded, drifting.SUITE) as guard:
        assert not guard.apply(editor := drifting.Drifting(), batch).accepted
        found = guard.bisect()
        last = guard.entries[-1]
    assert [edit.id for edit in found.harmful] == [f"grow:{index}" for index in places]
    assert found.trials <= len(places) * 4
    rest = [edit for edit in batch if edit.id.startswith("good")]
    assert list(found.kept) == rest
    assert_same(loaded.model, plainly(drifting.Drifting(), [rest] if rest else []))
    if rest:
        assert last.accepted
        assert last.harmful == tuple(edit.id for edit in found.harmful)
        assert editor.made == len(rest)


def test_bisecting_finds_an_edit_that_harms_only_together_with_another(loaded, drifting):
    def edit(model, tokenizer, edits):
        names = {edit.id for edit in edits}
        if {"good:1", "good:3"} <= names:
            model.get_parameter(MATRIX).data.mul_(3)

    batch = [drifting.edit(f"good:{index}") for index in range(5)]
    with guarding(loaded, drifting.SUITE) as guard:
        guard.apply(edit, batch)
        found = guard.bisect()
    assert [one.id for one in found.harmful] == ["good:3"]
    assert found.decision.accepted


@pytest.mark.parametrize("place", ["prepare", "edit"])
def test_what_an_editor_does_to_the_tokenizer_is_no_part_of_the_next_batch(loaded, facts, drifting, place):
    class Adding:
        def prepare(self, model, tokenizer, store):
            self.add("prepare", tokenizer)

        def edit(self, model, tokenizer, edits):
            self.add("edit", tokenizer)

        def add(self, where, tokenizer):
            if where == place:
                tokenizer.add_tokens([facts[0].subject, facts[0].target])

    before = loaded.tokenizer(facts[0].prompt.format(facts[0].subject))["input_ids"]
    with guarding(loaded, parse_suite(ASKING)) as guard:
        guard.apply(Adding(), facts[:1])
        assert loaded.tokenizer(facts[0].prompt.format(facts[0].subject))["input_ids"] == before
        assert guard.apply("none", facts[:1]).accepted


def test_bisecting_is_asked_for_after_a_refusal_only(loaded, drifting):
    with guarding(loaded, drifting.SUITE) as guard:
        guard.apply(drifting.Drifting(), drifting.stream(1)[0])
        with pytest.raises(UsageError, match="the last batch was not refused"):
            guard.bisect()


def test_a_restart_goes_on_from_the_journal_without_editing_again(loaded, drifting, tmp_path):
    first, bad, third = named("grow", drifting)
    kept = Snapshot(loaded.model)
    with guarding(loaded, drifting.SUITE, journal=tmp_path, seed=5) as guard:
        editor = drifting.Drifting()
        guard.apply(editor, first)
        guard.apply(editor, bad)
        before = weights(loaded.model)
    kept.restore(loaded.model)
    with guarding(loaded, drifting.SUITE, journal=tmp_path, seed=5) as guard:
        assert_same(loaded.model, before)
        assert [entry.accepted for entry in guard.entries] == [True, False]
        editor = drifting.Drifting()
        found = guard.bisect(editor)
        assert guard.apply(editor, third).accepted
        assert [entry.accepted for entry in guard.entries] == [True, False, True, True]
    rest = list(found.kept)
    assert [edit.id for edit in rest] == [edit.id for edit in bad if edit.id.startswith("good")]
    assert_same(loaded.model, plainly(drifting.Drifting(), [first, rest, third], seed=5))


def test_a_process_killed_again_and_again_ends_in_the_same_weights(drifting, tmp_path):
    script = Path(__file__).with_name("killed.py")
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "200", "22", "1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["killed"] >= 20
    good = [batch for batch in drifting.stream(200) if all(edit.id.startswith("good") for edit in batch)]
    assert result["end"] == tensors_fingerprint(plainly(drifting.Drifting(), good).items())


@pytest.mark.parametrize("place", ["add", "append"])
def test_an_interruption_leaves_the_model_where_the_journal_has_it(loaded, drifting, monkeypatch, place):
    from stability.guard.accepted import Accepted
    from stability.guard.journal import Journal

    def interrupted(*arguments):
        monkeypatch.undo()
        raise KeyboardInterrupt

    first, _, third = named("grow", drifting)
    editor = drifting.Drifting()
    with guarding(loaded, drifting.SUITE) as guard:
        guard.apply(editor, first)
        monkeypatch.setattr(*{"add": (Accepted, "add"), "append": (Journal, "append")}[place], interrupted)
        with pytest.raises(KeyboardInterrupt):
            guard.apply(editor, third)
        written = place == "add"  # it comes after
        assert len(guard.entries) == 1 + written
        guard.apply(editor, first)
    batches = [first, third, first] if written else [first, first]
    assert_same(loaded.model, plainly(drifting.Drifting(), batches))


def test_a_journal_is_of_one_model(loaded, drifting, tmp_path):
    with guarding(loaded, drifting.SUITE, journal=tmp_path) as guard:
        guard.apply(drifting.Drifting(), drifting.stream(1)[0])
    with pytest.raises(UsageError, match="was begun on another model"):  # edited already
        guarding(loaded, drifting.SUITE, journal=tmp_path).__enter__()


def test_a_guard_that_could_refuse_nothing_is_refused(loaded, drifting):
    dear = parse_suite('schema: 1\nname: dear\nchecks: {kept: {metric: retention, assert: ">= 0.5"}}\n')
    with pytest.raises(UsageError, match="none of its checks is cheap"):
        guarding(loaded, dear)
    with pytest.raises(UsageError, match="no check is called 'norm'"):
        guarding(loaded, drifting.SUITE, cheap=["norm"])
    with pytest.raises(UsageError, match="every is 0"):
        guarding(loaded, drifting.SUITE, every=0)


def test_an_editor_of_the_suite_is_called_by_its_name(loaded, facts):
    suite = parse_suite(
        """
schema: 1
name: named
editors: [{name: ft, as: two-steps, settings: {num_steps: 2}}]
text: {source: world, tokens: 120}
checks: {finite: {metric: nonfinite, assert: "== 0"}}
"""
    )
    with guarding(loaded, suite) as guard:
        guard.apply("two-steps", facts[:1])
        assert guard.entries[0].editor == "two-steps"
        with pytest.raises(UsageError, match="at least one edit"):
            guard.apply("two-steps", [])
