"""What a system returns beside the model reaches its next call, and a run that is gone on with."""

import logging
import re

import numpy as np
import pytest
import torch

from stability.editors import find_editor
from stability.editors.adapters.steps.carried import as_state, from_state, left_behind
from stability.errors import EditorError, SettingsError
from stability.run.saved import read_state, write_state

LAYERS = ("transformer.h.0.mlp.c_proj.weight", "transformer.h.1.mlp.c_proj.weight")


def prepared(editor, world, store):
    editor.prepare(world.model, world.tokenizer, store)
    return editor


def matrices(world):
    return [world.model.get_parameter(name).detach().clone() for name in LAYERS]


def test_the_state_that_is_returned_comes_back_at_the_next_call(queued, world, world_edits, store):
    editor = prepared(queued(), world, store)
    for count, edit in enumerate(world_edits[:3], start=1):
        editor.edit(world.model, world.tokenizer, [edit])
        carried = {name: from_state(value) for name, value in editor.state()["carried"].items()}
        assert carried["cnt"] == count
        assert carried["alpha"] == {0: 60, 1: 60}
        base = carried["D_base"]
        for layer in (0, 1):
            assert float(carried["Z"][layer]) == pytest.approx(base[layer].item() ** 0.5 + 60 * count)
        assert carried["method_name"] == "queued"


def test_a_run_that_is_taken_up_from_a_file_is_the_uninterrupted_one(
    queued, world, pristine, world_edits, store, tmp_path
):
    first = prepared(queued(), world, store)
    first.edit(world.model, world.tokenizer, world_edits[:2])
    halfway = matrices(world)
    write_state(tmp_path / "state", first.state())
    for edit in world_edits[2:]:
        first.edit(world.model, world.tokenizer, [edit])
    whole = matrices(world)
    pristine.restore(world.model)
    second = prepared(queued(), world, store)
    second.load_state(read_state(tmp_path / "state"))
    for name, value in zip(LAYERS, halfway, strict=True):
        world.model.get_parameter(name).data.copy_(value)
    for edit in world_edits[2:]:
        second.edit(world.model, world.tokenizer, [edit])
    assert all(map(torch.equal, matrices(world), whole))


def test_a_new_run_begins_with_the_first_values(queued, world, pristine, world_edits, store):
    editor, made = queued(), []
    for _ in range(2):
        pristine.restore(world.model)
        prepared(editor, world, store).edit(world.model, world.tokenizer, world_edits[:2])
        made.append(matrices(world))
    assert all(map(torch.equal, *made))


def test_what_nobody_carries_is_said_once(queued, world, world_edits, store, caplog):
    editor = prepared(queued(carry=None, arguments={"D_base": {0: 1}}), world, store)
    with pytest.raises(EditorError, match="KeyError"):  # no first values of its own
        editor.edit(world.model, world.tokenizer, world_edits[:1])
    source = "stability.editors.adapters"
    caplog.set_level(logging.WARNING, logger=source)
    for carry, said in ((None, 1), ("nothing", 0)):
        caplog.clear()
        values = {"Z": 2.0, "alpha": 1.0, "zmax": 0.0, "D_base": 1.0, "Pre_Cache": []}
        given = {name: {0: value, 1: value} for name, value in values.items()} | {"cnt": 0}
        given["Z"] = {0: "2sqrtD", 1: "2sqrtD"}
        given["D_base"] = {0: None, 1: None}
        editor = prepared(queued(carry=carry, arguments=given), world, store)
        for edit in world_edits[:2]:
            editor.edit(world.model, world.tokenizer, [edit])
        lines = [one.getMessage() for one in caplog.records if one.name.startswith(source)]
        assert len(lines) == said
    assert "carried" not in editor.state()


def test_the_line_names_the_elements_and_the_setting(system, gpt2, edit, store, caplog):
    source = "def apply(model, tok, requests, hparams):\n    return model, {}, {'queue': torch.ones(2)}, [1.5], print\n"
    editor = find_editor("kmeng", system(source))
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    (line,) = [one.getMessage() for one in caplog.records]
    assert "element 2: a dict of 1 (queue); element 3: a list of 1; if that is its state, set `carry`" in line
    assert "element 1" not in line
    assert "element 4" not in line


def test_old_weights_by_name_are_no_state():
    names = ["a.weight", "b.weight"]
    assert left_behind((0, {"a.weight": torch.ones(1)}, None, print), (), names) == []
    assert left_behind((0, {"other": torch.ones(1)}), (), names) == ["element 1: a dict of 1 (other)"]
    assert left_behind((0, {"other": 1}), (-1,), names) == []
    assert left_behind("no tuple", (), names) == []


SINGLE = """
def apply(model, tok, requests, hparams, memory=None):
    memory = [*(memory or []), len(requests)]
    model.memory = memory
    return model, memory
"""


def test_one_argument_may_take_the_whole_element(system, gpt2, edits, store):
    editor = find_editor("kmeng", system(SINGLE) | {"carry": {"argument": "memory", "first": [7]}})
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    editor.edit(gpt2.model, gpt2.tokenizer, edits[:1])
    editor.edit(gpt2.model, gpt2.tokenizer, edits[:2])
    assert gpt2.model.memory == [7, 1, 2]


RLS = """
def apply(model, tok, requests, hparams, cache_c=None):
    model.first = cache_c is None
    return model, torch.ones(2) if cache_c is None else cache_c + 1
"""


def test_a_cache_that_the_system_makes_itself_is_not_given_zeros(system, gpt2, edit, store):
    editor = find_editor("kmeng", system(RLS) | {"carry": {"argument": "cache_c"}})
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    for first in (True, False):
        editor.edit(gpt2.model, gpt2.tokenizer, [edit])
        assert gpt2.model.first is first


@pytest.mark.parametrize(
    ("carry", "error", "message"),
    [
        ({"element": 0}, SettingsError, "0 is the model; give the place of the state, such as 2"),
        ({"first": [1]}, SettingsError, "first: should be a mapping by name"),
        ({"argument": "memroy"}, SettingsError, "setting 'carry': tiny_system.apply takes no 'memroy'; it takes memory"),
        ({"element": 4, "argument": "memory"}, EditorError, "returned a tuple of 2, which has no element 4"),
        ({}, EditorError, "element -1 of what tiny_system.apply returned is a list of 1, not a mapping of keyword"),
        ("all", SettingsError, "carry"),
    ],
)  # fmt: skip
def test_a_wrong_carry_is_one_line(system, gpt2, edit, store, carry, error, message):
    def edited():
        editor = find_editor("kmeng", system(SINGLE) | {"carry": carry})
        editor.prepare(gpt2.model, gpt2.tokenizer, store)
        editor.edit(gpt2.model, gpt2.tokenizer, [edit])

    with pytest.raises(error, match=re.escape(message)) as caught:
        edited()
    assert "\n" not in str(caught.value)


def test_what_a_file_cannot_hold_is_named_with_its_place():
    with pytest.raises(
        EditorError, match=re.escape("net[3]['parts'][1] is a Linear; a run can be gone on with")
    ):
        as_state({3: {"parts": [1, torch.nn.Linear(1, 1)]}}, "net")


def test_a_carried_value_comes_back_from_a_file_as_it_was(tmp_path):
    value = {
        3: [torch.ones(2, 2), (1, None, "x", torch.tensor(2.5, dtype=torch.bfloat16))],
        "a": np.arange(3.0),
        "b": {"mapping": [], "deep": {(1, 2): np.float32(0.5)}},
    }
    write_state(tmp_path / "state", {"value": as_state(value, "value")})
    found = from_state(read_state(tmp_path / "state")["value"])
    assert torch.equal(found[3][0], torch.ones(2, 2))
    assert found[3][1] == value[3][1]
    assert found[3][1][3].dtype == torch.bfloat16
    np.testing.assert_array_equal(found["a"], np.arange(3.0))
    assert found["b"] == value["b"]
    assert type(found["b"]["deep"][(1, 2)]) is np.float32


def test_an_override_may_add_what_only_the_systems_code_reads(queued, world, pristine, world_edits, store):
    moved = []
    for override in ({}, {"doubled": True}):
        pristine.restore(world.model)
        before = matrices(world)
        editor = prepared(queued(override=override), world, store)
        editor.edit(world.model, world.tokenizer, world_edits[:1])
        moved.append(float((matrices(world)[0] - before[0]).norm()))
    assert moved[1] == pytest.approx(2 * moved[0], rel=1e-3)
    message = "QueuedHyperParams has no 'doubeld', nor does its code read one"
    with pytest.raises(SettingsError, match=re.escape(message)):
        queued(override={"doubeld": True})
