import re

import pytest
import torch

from stability.editors import find_editor
from stability.errors import EditorError, SettingsError

EDITED = "transformer.h.0.mlp.c_proj.weight"
BIAS = "transformer.ln_f.bias"


@pytest.fixture
def shift(flat_edit, tmp_path):
    """The algorithm whose executor remembers its first model, counts in a global and returns a callable."""

    def make(algorithm="SHIFT", **settings):
        file = tmp_path / "shift.yaml"
        file.write_text('alg_name: "SHIFT"\namount: 0.5\n')
        return flat_edit(algorithm=algorithm, hparams=str(file), **settings)

    return make


def test_an_algorithm_of_the_table_edits_the_model(flat_edit, world, pristine, world_edits, store, success):
    editor = flat_edit()
    editor.prepare(world.model, world.tokenizer, store)
    batch = world_edits[:2]
    assert editor.edit(world.model, world.tokenizer, batch) is world.model
    assert all(success(world, edit) > 0 for edit in batch)
    assert pristine.changed(world.model) == (EDITED,)
    assert not world.model.training
    assert world.model.config.use_cache


def test_its_device_is_the_models_unless_overridden(flat_edit, world, world_edits, store):
    editor = flat_edit()  # whose file says device: 0
    editor.prepare(world.model, world.tokenizer, store)
    editor.edit(world.model, world.tokenizer, world_edits[:1])
    elsewhere = flat_edit(override={"device": "meta"})
    elsewhere.prepare(world.model, world.tokenizer, store)
    with pytest.raises(EditorError, match=r"^easyedit: ALG_DICT\['FT'\], edit .*\(__init__\.py:\d+\)$"):
        elsewhere.edit(world.model, world.tokenizer, world_edits[:1])


def test_without_a_batch_size_edits_come_one_at_a_time(shift, gpt2, edits, store):
    editor = shift()
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    before = gpt2.model.get_parameter(BIAS).detach().clone()
    editor.edit(gpt2.model, gpt2.tokenizer, edits)
    expected = before.clone()
    expected[len("Anna Berg")] += 0.5
    expected[len("Zoe Angstrom")] += 1.0
    torch.testing.assert_close(gpt2.model.get_parameter(BIAS).detach(), expected)


def test_the_tables_executors_and_module_globals_are_new_in_each_run(shift, build, edit, store):
    editor = shift()
    for tiny in (build("gpt2"), build("gpt2")):
        editor.prepare(tiny.model, tiny.tokenizer, store)
        before = tiny.model.get_parameter(BIAS).detach().clone()
        editor.edit(tiny.model, tiny.tokenizer, [edit])
        assert (tiny.model.get_parameter(BIAS).detach() - before).sum() == pytest.approx(0.5)


def test_a_run_that_is_taken_up_goes_on_with_the_module_globals(shift, gpt2, edit, store):
    editor = shift()
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    state = editor.state()
    trained = state["trained"]
    assert state == {"flatedit.models.shift:edits_loaded": 1, "trained": trained}
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    editor.load_state(state)
    editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    assert editor.state() == {"flatedit.models.shift:edits_loaded": 2, "trained": trained}


def test_a_method_that_changes_no_weights_cannot_be_measured(shift, gpt2, edit, store):
    editor = shift("ADVICE")
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    message = re.escape("ALG_DICT['ADVICE']: returned a str where the edited model should be")
    with pytest.raises(EditorError, match=message):
        editor.edit(gpt2.model, gpt2.tokenizer, [edit])


@pytest.mark.parametrize(
    ("algorithm", "settings", "side"),
    [("FT", {}, "left"), ("ROME", {}, "right"), ("FT", {"padding_side": "right"}, "right")],
)
def test_padding_is_on_the_side_that_easyedit_pads_on(system, gpt2, edit, store, algorithm, settings, side):
    source = f"def apply(model, tok, requests, hparams):\n    assert tok.padding_side == '{side}'\n"
    given = system(source + "TABLE = {'FT': apply, 'ROME': apply}\n") | settings
    given |= {"algorithm": algorithm, "table": "tiny_system:TABLE"}
    del given["apply"]
    editor = find_editor("easyedit", given)
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    editor.edit(gpt2.model, gpt2.tokenizer, [edit])


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"algorithm": "SHFT"},
            SettingsError,
            "has no algorithm 'SHFT', did you mean 'SHIFT'? (it has ADVICE, FT, SHIFT)",
        ),
        ({"table": "flatedit.util.hparams:yaml"}, EditorError, "is a module, not a table of algorithms"),
        ({"algorithm": "SHIFT"}, SettingsError, "ShiftHyperParams can not load alg_name FT"),
        (
            {"table": "easyeditor.util.alg_dict:ALG_DICT"},
            SettingsError,
            "there is no module 'easyeditor'; install it",
        ),
    ],
)
def test_wrong_settings_are_one_line(flat_edit, settings, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        flat_edit(**settings)
    assert "\n" not in str(caught.value)
