"""An adapter's configuration: what PEFT cannot work with, or would work on for ever, is refused in one line."""

import json
import time

import pytest

from stability.errors import ModelError
from stability.models.adapters import read_adapter_config

USUAL = {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "target_modules": ["q_proj"], "rank_pattern": {}}


def read(folder, **changes):
    (folder / "adapter_config.json").write_text(json.dumps({**USUAL, **changes}))
    return read_adapter_config(folder)


@pytest.mark.parametrize(
    "pattern",
    [
        r".*\.(q_proj|v_proj)$",
        r"^(?!.*vision).*\.layers\.\d+\.mlp\.(?:up|down)_proj$",
        r"model\.layers\.[0-9]\.self_attn\.\w+_proj",
    ],
)
def test_the_patterns_that_people_write_are_taken(tmp_path, pattern):
    assert read(tmp_path, target_modules=pattern)["target_modules"] == pattern
    assert read(tmp_path, rank_pattern={pattern: 4})["rank_pattern"] == {pattern: 4}


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*$", r"(\w*)*x", "(a{1,9}){1,9}", ".*.*.*.*.*.*.*.*.*.*x", "(", "[", "a**"]
)
@pytest.mark.parametrize("key", ["target_modules", "exclude_modules", "rank_pattern", "alpha_pattern"])
def test_a_pattern_that_could_take_for_ever_is_not_tried(tmp_path, key, pattern):
    began = time.process_time()
    with pytest.raises(ModelError, match="the pattern"):
        read(tmp_path, **{key: {pattern: 1} if key.endswith("_pattern") else pattern})
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("r", "8"),
        ("r", None),
        ("r", -1),
        ("r", 10**12),
        ("r", True),
        ("lora_alpha", {}),
        ("lora_alpha", "!!int abc"),
        ("lora_alpha", float("nan")),
        ("rank_pattern", ["q"]),
        ("rank_pattern", {"q": "4"}),
        ("alpha_pattern", 1),
        ("target_modules", [1]),
        ("target_modules", {}),
        ("exclude_modules", 3),
        ("modules_to_save", [["a"]]),
        ("layers_to_transform", "all"),
        ("layers_to_transform", [1.5]),
    ],
)
def test_a_value_of_another_kind_is_named(tmp_path, key, value):
    with pytest.raises(ModelError, match=rf"adapter_config\.json: {key} is .*; expected "):
        read(tmp_path, **{key: value})


def test_what_may_be_left_open_may_be_null(tmp_path):
    assert read(tmp_path, exclude_modules=None, modules_to_save=None, layers_to_transform=None)["r"] == 8
