"""Presets of the real model: every built-in editor has one, and wrappers take that of the editor inside."""

import pytest

from stability.editors import find_editor
from stability.editors.plugin.presets import load_presets
from stability.editors.plugin.wrapper import Wrapper
from stability.editors.train.lora import LoraSettings
from stability.parts import EDITORS

DEPTH = 30
EDITORS_ALONE = [
    name
    for name, part in EDITORS.built_in().items()
    if part.head.family in ("closed form", "trained") and not issubclass(part.made, Wrapper)
]
WRAPPERS = [name for name, part in EDITORS.built_in().items() if issubclass(part.made, Wrapper)]
NEEDED = {"frobenius": {"max_ratio": 1.2}, "reset": {"every": 5}}  # settings that have no default


@pytest.mark.parametrize("name", EDITORS_ALONE)
def test_every_editor_has_a_preset_for_the_real_model_that_its_settings_accept(name):
    preset = load_presets(name)["smollm2"]
    settings = find_editor(name, model_name="smollm2", depth=DEPTH).info.settings
    assert preset
    assert {key: settings[key] for key in preset} == preset


@pytest.mark.parametrize("name", EDITORS_ALONE)
def test_layers_of_the_real_models_presets_are_in_it(name):
    layers = load_presets(name)["smollm2"].get("layers", [])
    assert all(0 <= layer < DEPTH for layer in layers)


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapper_on_the_real_model_takes_the_preset_of_the_editor_inside(name):
    wrapped = find_editor(
        name, {"editor": "memit", **NEEDED.get(name, {})}, model_name="smollm2", depth=DEPTH
    )
    alone = find_editor("memit", model_name="smollm2", depth=DEPTH)
    assert wrapped.info.settings["editor"]["settings"] == alone.info.settings


def test_lora_on_the_real_model_is_not_what_destroys_it():
    general = LoraSettings()
    preset = find_editor("lora", model_name="smollm2", depth=DEPTH).info.settings
    assert preset["lr"] * preset["alpha"] / preset["rank"] * preset["num_steps"] <= (
        general.lr * general.alpha / general.rank * general.num_steps / 100
    )
