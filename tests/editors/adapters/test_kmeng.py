import logging
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from stability.editors import find_editor
from stability.editors.locate.steps.covariance import CovarianceSettings, stored_second_moments
from stability.errors import EditorError, SettingsError
from stability.models import map_model

EDITED = "transformer.h.0.mlp.c_proj.weight"


def test_a_public_function_edits_the_model_and_nothing_but_its_matrix(
    rank_one, world, pristine, world_edits, store, success, capsys
):
    editor = rank_one()
    editor.prepare(world.model, world.tokenizer, store)
    for edit in world_edits:
        assert success(world, edit) < 0
        assert editor.edit(world.model, world.tokenizer, [edit]) is world.model
        assert success(world, edit) > 0
    assert pristine.changed(world.model) == (EDITED,)
    assert capsys.readouterr() == ("", "")


def test_edits_of_a_batch_come_in_one_call(system, world, world_edits, store):
    settings = system(
        "def apply(model, tok, requests, hparams):\n"
        "    with torch.no_grad():\n"
        "        model.transformer.ln_f.bias[0] = len(requests) + hparams.amount\n"
    )
    editor = find_editor("kmeng", settings)
    editor.prepare(world.model, world.tokenizer, store)
    editor.edit(world.model, world.tokenizer, world_edits)
    assert world.model.transformer.ln_f.bias[0] == 4.5


def test_each_run_begins_with_empty_caches(rank_one, world, world_edits, store):
    editor = rank_one()
    contexts = []
    for _ in range(2):
        editor.prepare(world.model, world.tokenizer, store)
        assert editor.state() == {}
        editor.edit(world.model, world.tokenizer, world_edits[:1])
        contexts.append(editor.state()["rank_one.rank_one_main:CONTEXT_TEMPLATES_CACHE"])
    assert contexts[0] != contexts[1]  # drawn anew, from random numbers that have gone on


def test_a_run_that_is_taken_up_goes_on_with_its_contexts(rank_one, world, pristine, world_edits, store):
    first, second = rank_one(), rank_one()
    first.prepare(world.model, world.tokenizer, store)
    first.edit(world.model, world.tokenizer, world_edits[:1])
    halfway = world.model.get_parameter(EDITED).detach().clone()
    first.edit(world.model, world.tokenizer, world_edits[1:2])
    whole = world.model.get_parameter(EDITED).detach().clone()
    pristine.restore(world.model)
    second.prepare(world.model, world.tokenizer, store)
    second.load_state(first.state())
    world.model.get_parameter(EDITED).data.copy_(halfway)
    second.edit(world.model, world.tokenizer, world_edits[1:2])
    assert torch.equal(world.model.get_parameter(EDITED), whole)


@pytest.mark.parametrize("name", ["RankOneExecutor", "RankOneExecutor.apply_to_model"])
def test_an_executor_that_remembers_its_first_model_is_new_in_each_run(
    rank_one, world, world_edits, store, build, edit, name
):
    editor = rank_one(apply=f"rank_one.{name}")
    tiny = build("gpt2")
    for part in (world, tiny):
        editor.prepare(part.model, part.tokenizer, store)
        before = part.model.get_parameter(EDITED).detach().clone()
        editor.edit(part.model, part.tokenizer, [edit])
        assert not torch.equal(part.model.get_parameter(EDITED), before)


def test_hyperparameters_can_be_overridden(rank_one):
    assert rank_one(override={"steps": 3}).info.settings["override"] == {"steps": 3}
    message = "setting 'override': RankOneHyperParams has no 'stesp', did you mean 'steps'?"
    with pytest.raises(SettingsError, match=re.escape(message)):
        rank_one(override={"stesp": 3})


def test_a_record_holds_the_hyperparameters_and_another_file_is_another_editor(rank_one, tmp_path):
    file = tmp_path / "hparams.json"
    text = Path(rank_one().info.settings["hparams"]).read_text()
    file.write_text(text)
    first = rank_one(hparams=str(file)).info
    assert first.settings["hyperparameters"]["steps"] == 25
    file.write_text(text.replace("25", "26"))
    assert rank_one(hparams=str(file)).info.fingerprint != first.fingerprint


def test_a_changed_system_is_another_editor(system):
    settings = system("def apply(model, tok, requests, hparams): ...\n")
    first = find_editor("kmeng", settings).info.fingerprint
    module = Path(settings["cwd"], "tiny_system.py")
    module.write_text(module.read_text() + "# another line\n")
    assert find_editor("kmeng", settings).info.fingerprint != first


def test_the_model_is_handed_over_as_freshly_loaded_and_comes_back_quiet(system, world, world_edits, store):
    settings = system(
        "def apply(model, tok, requests, hparams):\n"
        "    asking = {n for n, p in model.named_parameters() if p.requires_grad}\n"
        "    everything = {n for n, _ in model.named_parameters()}\n"
        "    first = not hasattr(model, 'calls')\n"
        "    assert asking == (everything if first else {'transformer.ln_f.bias'}), asking\n"
        "    assert torch.is_grad_enabled() and not model.training\n"
        "    model.calls = 1\n"
        "    for n, p in model.named_parameters():\n"
        "        p.requires_grad = n == 'transformer.ln_f.bias'\n"
        "    model.train()\n"
        "    model.config.use_cache = False\n"
        "    model(torch.tensor([[3, 4]])).logits.sum().backward()\n"
        "    tok.add_special_tokens({'additional_special_tokens': ['[NEW]']})\n"
        "    assert tok.pad_token is not None and tok.padding_side == 'right'\n"
    )
    editor = find_editor("kmeng", settings)
    tokens, side = len(world.tokenizer), world.tokenizer.padding_side
    with torch.no_grad():
        editor.prepare(world.model, world.tokenizer, store)
        for edit in world_edits[:2]:
            editor.edit(world.model, world.tokenizer, [edit])
            assert not any(module.training for module in world.model.modules())
            assert not any(parameter.requires_grad for parameter in world.model.parameters())
            assert all(parameter.grad is None for parameter in world.model.parameters())
            assert world.model.config.use_cache
    del world.model.calls
    assert (len(world.tokenizer), world.tokenizer.padding_side) == (tokens, side)


def test_a_tokenizer_without_a_pad_token_gets_one_of_its_own(system, gpt2, edit, store):
    source = "def apply(model, tok, requests, hparams):\n    assert tok.pad_token == tok.eos_token\n"
    editor = find_editor("kmeng", system(source))
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    assert gpt2.tokenizer.pad_token is None


ALPHA = """
def apply(model, tok, requests, hparams, cache_template=None, cache_c=None, P=None):
    k = torch.arange(P.shape[-1]).float()
    cache_c = cache_c + torch.outer(k, k)
    model.seen = (cache_c.clone(), P.clone())
    return model, cache_c

def get_project(model, tok, layer, hparams):
    return torch.full((40, 40), float(layer + 1))
"""


def test_alphaedits_cache_goes_from_edit_to_edit_and_into_the_state(system, gpt2, edit, store, text_file):
    covariance = {"mom2_path": text_file, "mom2_n_tokens": 200}
    editor = find_editor("kmeng", system(ALPHA) | {"covariance": covariance})
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    k = torch.arange(40).float()
    for count in (1, 2):
        editor.edit(gpt2.model, gpt2.tokenizer, [edit])
        assert torch.equal(gpt2.model.seen[0][0], count * torch.outer(k, k))
    state = editor.state()
    assert state.keys() == {"cache_c", "trained"}
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    assert not editor.state()["cache_c"].any()
    editor.load_state(state)
    editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    assert torch.equal(gpt2.model.seen[0][0], 3 * torch.outer(k, k))


def test_alphaedits_projection_is_onto_the_eigenvectors_below_the_threshold(
    system, gpt2, edit, store, text_file
):
    covariance = {"mom2_path": text_file, "mom2_n_tokens": 200}
    settings = CovarianceSettings(**covariance)
    moment = stored_second_moments(gpt2.model, map_model(gpt2.model), gpt2.tokenizer, [0], settings, store)[0]
    values, vectors = np.linalg.eigh(moment.numpy())
    threshold = float((values[24] + values[25]) / 2)
    P = vectors[:, :25] @ vectors[:, :25].T
    override = {"nullspace_threshold": threshold}
    source = system(
        "class HyperParams:\n    nullspace_threshold = 0\n    layers = [0]\n    def __init__(self, **_): ...\n"
        + ALPHA
    )
    editor = find_editor("kmeng", source | {"covariance": covariance, "override": override})
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    np.testing.assert_allclose(gpt2.model.seen[1][0].numpy(), P, atol=1e-6)


def test_alphaedits_projection_may_be_the_systems_own(system, gpt2, edit, store):
    settings = system(ALPHA) | {"project": "tiny_system.get_project", "override": {"layers": [2, 0]}}
    editor = find_editor("kmeng", settings)
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    assert [P.unique().tolist() for P in gpt2.model.seen[1]] == [[3.0], [1.0]]


def test_hooks_on_a_block_see_the_tuple_that_memit_changes(system, gpt2, edit, store):
    source = (
        "def apply(model, tok, requests, hparams):\n"
        "    def hook(module, args, output):\n"
        "        output[0][:, 1] += hparams.amount\n"
        "        return output\n"
        "    plain = model(torch.tensor([[3, 4, 5]]), output_hidden_states=True).hidden_states\n"
        "    handle = model.transformer.h[1].register_forward_hook(hook)\n"
        "    edited = model(torch.tensor([[3, 4, 5]]), output_hidden_states=True).hidden_states\n"
        "    handle.remove()\n"
        "    model.difference = edited[2] - plain[2]\n"
    )
    settings = system(source)
    editor = find_editor("kmeng", settings)
    gpt2.model.requires_grad_(False)
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    expected = torch.zeros(1, 3, 24)
    expected[:, 1] = 0.5
    torch.testing.assert_close(gpt2.model.difference.detach(), expected)
    assert not any({"forward", "_call_impl"} & block.__dict__.keys() for block in gpt2.model.transformer.h)


def test_peft_models_are_returned_as_they_are(system, gpt2, edit, store):
    source = (
        "from peft import LoraConfig, get_peft_model\n"
        "def apply(model, tok, requests, hparams, **kwargs):\n"
        "    if hasattr(model, 'peft_config'):\n"
        "        return model, {}\n"
        "    config = LoraConfig(task_type='CAUSAL_LM', r=2, target_modules=['c_proj'], fan_in_fan_out=True)\n"
        "    return get_peft_model(model, config), {}\n"
    )
    editor = find_editor("kmeng", system(source))
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    with warnings.catch_warnings(record=True):  # of peft and transformers about each other
        wrapped = editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    assert type(wrapped).__name__ == "PeftModelForCausalLM"
    assert not wrapped.training
    assert editor.edit(wrapped, gpt2.tokenizer, [edit]) is wrapped


def test_what_a_system_raises_is_one_line_that_says_where(system, gpt2, edits, store):
    settings = system(
        "def apply(model, tok, requests, hparams):\n    helper(requests)\n"
        "def helper(requests):\n    torch.ones(2) @ torch.ones(3)\n"
    )
    editor = find_editor("kmeng", settings)
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    message = r"^kmeng: tiny_system\.apply, edits berg, zoe: RuntimeError: .* \(tiny_system\.py:7\)$"
    with pytest.raises(EditorError, match=message):
        editor.edit(gpt2.model, gpt2.tokenizer, edits)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"hparams": "no.json"}, SettingsError, "give the system's own JSON or YAML file of hyperparameters"),
        ({"hparams": "notes.json"}, SettingsError, "notes.json is not JSON: Expecting value"),
        ({"hparams_class": "tiny_system.Hyper"}, SettingsError, "did you mean 'HyperParams'?"),
        ({"hparams_class": None}, SettingsError, "such as `hparams_class: rome.ROMEHyperParams`"),
        ({"hparams_class": "tiny_system.Narrow"}, SettingsError, "Narrow cannot be read from"),
        ({"apply": "tiny_system.VALUE"}, EditorError, "is no function (model, tok, requests, hparams, ...)"),
        ({"apply": "elsewhere.apply"}, SettingsError, "there is no module 'elsewhere'; install it, or set"),
        ({"cwd": "/no/such"}, SettingsError, "setting 'cwd': there is no folder /no/such"),
        ({"path": "/no/such"}, SettingsError, "setting 'path.0': there is no folder /no/such"),
        ({"arguments": {"x": 1}}, SettingsError, "tiny_system.apply takes no 'x'; it takes none"),
    ],
)
def test_wrong_settings_are_one_line_before_a_model_is_loaded(system, settings, error, message):
    source = (
        "VALUE = 3\ndef apply(model, tok, requests, hparams): ...\n"
        "class Narrow:\n    def __init__(self, layers): ...\n"
    )
    good = system(source)
    Path(good["cwd"], "notes.json").write_text("no JSON")
    with pytest.raises(error, match=re.escape(message)) as caught:
        find_editor("kmeng", good | settings)
    assert "\n" not in str(caught.value)


def test_a_warning_of_a_system_is_no_error_where_ours_are(system, gpt2, edit, store):
    source = (
        "import warnings\n"
        "def apply(model, tok, requests, hparams):\n    warnings.warn('old', FutureWarning)\n    model.went_on = 1\n"
    )
    editor = find_editor("kmeng", system(source))
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    with pytest.warns(FutureWarning, match="old"):
        editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    assert gpt2.model.went_on


def test_what_it_prints_can_be_read_in_the_log(rank_one, world, world_edits, store, caplog):
    editor = rank_one()
    with caplog.at_level(logging.DEBUG, logger="stability.editors.adapters"):
        editor.prepare(world.model, world.tokenizer, store)
        editor.edit(world.model, world.tokenizer, world_edits[:1])
    assert f"Editing {world_edits[0].subject} -> {world_edits[0].target}" in caplog.messages
