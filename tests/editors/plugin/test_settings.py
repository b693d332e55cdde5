from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stability.editors import find_editor, wrap_editor
from stability.editors.locate.rome import RomeSettings
from stability.editors.plugin.presets import layers_at, load_presets, preset
from stability.errors import SettingsError

if TYPE_CHECKING:
    from somewhere_else import Unknown


def test_a_wrong_name_is_an_error_that_lists_the_right_ones() -> None:
    with pytest.raises(
        SettingsError,
        match=r"editor ft: unknown setting 'layer', did you mean 'layers'\? \(settings: layers, num_steps",
    ):
        find_editor("ft", {"layer": 3, "layers": 3})


def test_everything_that_is_wrong_is_said_at_once_in_one_line() -> None:
    with pytest.raises(SettingsError) as caught:
        find_editor("rome", {"v_lr": "fast", "key": "golden", "steps": 1})
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "setting 'layers' is missing; this model has no preset (presets:",
        "setting 'v_lr': Input should be a valid number, unable to parse string as a number, got 'fast'",
        "setting 'key': Input should be 'mended' or 'original', got 'golden'",
        "unknown setting 'steps'",
    ):
        assert part in message


@pytest.mark.parametrize("layers", [3, [3], (3,)])
def test_one_layer_may_be_given_as_a_number(layers: Any) -> None:
    assert find_editor("ft", {"layers": layers}).info.settings["layers"] == [3]


@pytest.mark.parametrize("layers", [[], [-1], "many", True])
def test_layers_must_be_numbers_of_layers(layers: Any) -> None:
    with pytest.raises(SettingsError, match="setting 'layers"):
        find_editor("ft", {"layers": layers})


def test_a_functions_keyword_parameters_are_its_settings() -> None:
    def edit(model: Any, tokenizer: Any, edits: Any, lr: float, *, steps: int = 3, free=None) -> None: ...  # type: ignore[no-untyped-def]

    assert wrap_editor(edit, {"lr": 1, "free": [1, 2]}).info.settings == {
        "lr": 1.0,
        "steps": 3,
        "free": [1, 2],
    }
    with pytest.raises(SettingsError, match=r"setting 'lr' is missing \(settings: lr, steps, free\)"):
        wrap_editor(edit)
    with pytest.raises(SettingsError, match="setting 'steps': Input should be a valid integer"):
        wrap_editor(edit, {"lr": 1, "steps": "x"})


def test_a_function_that_takes_any_keyword_takes_any_setting() -> None:
    got = {}

    def edit(model: Any, tokenizer: Any, edits: Any, **settings: Any) -> None:
        got.update(settings)

    editor = wrap_editor(edit, {"lr": 1})
    editor.edit(None, None, [])  # type: ignore[arg-type]
    assert got == editor.info.settings == {"lr": 1}


def test_annotations_for_type_checkers_only_allow_anything() -> None:
    def edit(model: Unknown, tokenizer: Any, edits: Any, *, lr: float = 1.0) -> None: ...

    assert wrap_editor(edit, {"lr": 2}).info.settings == {"lr": 2}


def test_settings_that_are_no_json_are_an_error() -> None:
    def edit(model: Any, tokenizer: Any, edits: Any, *, thing: Any = None) -> None: ...

    with pytest.raises(SettingsError, match="cannot be written as JSON"):
        wrap_editor(edit, {"thing": object()})


@pytest.mark.parametrize("model", ["openai-community/gpt2-xl", "gpt2-xl", "/models/GPT2-XL"])
def test_a_preset_is_found_by_the_last_part_of_the_models_name(model: str) -> None:
    settings = find_editor("rome", {}, model).info.settings
    assert (settings["layers"], settings["v_lr"], settings["clamp_norm_factor"]) == ([17], 0.5, 4)


def test_what_the_suite_says_comes_before_the_preset_and_that_before_the_defaults() -> None:
    settings = find_editor("rome", {"v_lr": 0.1, "layers": 12}, "meta-llama/Llama-2-7b-hf").info.settings
    assert (settings["layers"], settings["v_lr"]) == ([12], 0.1)
    assert settings["v_num_grad_steps"] == 25  # preset
    assert settings["key"] == "mended"  # default


@pytest.mark.parametrize("editor", ["rome", "ft"])
def test_every_preset_is_valid(editor: str) -> None:
    for model in load_presets(editor):
        assert find_editor(editor, {}, model).info.settings["layers"]
    assert "world" in load_presets(editor)


def test_no_preset_is_needed_where_there_are_no_settings() -> None:
    assert load_presets("none") == {}
    assert find_editor("none", {}, "anything").info.settings == {}


def test_settings_cannot_be_altered_afterwards() -> None:
    settings = RomeSettings(layers=(1,))
    with pytest.raises(ValueError, match="frozen"):
        settings.v_lr = 3.0  # type: ignore[misc]


def test_without_a_preset_the_layers_are_at_the_published_share_of_the_depth(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert preset("rome", "my-model", 32)["layers"] == [5]  # as in Llama-2 7B
    assert preset("rome", "my-model", 28)["layers"] == [4]
    assert preset("ft", "my-model", 28)["layers"] == [21]  # as in GPT-J
    assert "rome has no preset for my-model; it edits layers [5], by the model's depth" in caplog.text
    assert layers_at({"from": 0.9, "to": 1.0}, 32) == [28, 29, 30, 31]


def test_layers_by_depth_are_only_for_who_names_none(caplog: pytest.LogCaptureFixture) -> None:
    assert find_editor("rome", {"layers": [3]}, "my-model", depth=32).info.settings["layers"] == [3]
    assert find_editor("rome", {}, "world", depth=32).info.settings["layers"] == [0]
    assert not caplog.text
    assert find_editor("rect(rome)", {}, "my-model", depth=32).info.settings["editor"]["settings"][
        "layers"
    ] == [5]
