"""Configurations and tokenizers: what counts as a difference, and what is only another way of saving."""

from __future__ import annotations

import json
import shutil

import pytest
from transformers import AutoTokenizer

from stability.errors import ModelError
from stability.gate.files.configs import config_differences
from stability.gate.files.folder import open_folder
from stability.gate.files.tokenizers import files_fingerprint, tokenizer_differences
from stability.world import MODEL
from tests.gate.conftest import llama


@pytest.fixture
def world(tmp_path):
    folder = tmp_path / "world"
    shutil.copytree(MODEL, folder)
    return folder


def rewrite(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def configs(folder):
    return config_differences(open_folder(MODEL), open_folder(folder))


def test_how_a_configuration_was_saved_is_no_difference(world):
    rewrite(
        world / "config.json",
        lambda config: config.update(transformers_version="4.40.0", torch_dtype="float16"),
    )
    assert configs(world) == {}


def test_a_default_that_is_left_out_is_no_difference(world):
    rewrite(world / "config.json", lambda config: config.pop("scale_attn_weights"))
    assert configs(world) == {}


def test_what_changes_the_computation_is_a_difference(world):
    rewrite(world / "config.json", lambda config: config.update(n_head=8, layer_norm_epsilon=1e-3))
    assert configs(world) == {"n_head": (4, 8), "layer_norm_epsilon": (1e-5, 1e-3)}


def generation(folder, **changes):
    file = folder / "generation_config.json"
    content = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(content | changes))


def test_what_a_model_generates_by_is_compared_too(world):
    generation(world, temperature=5.0, suppress_tokens=[3, 4])
    assert configs(world) == {
        "generation_config.temperature": (1.0, 5.0),
        "generation_config.suppress_tokens": (None, [3, 4]),
    }


def test_how_a_generation_configuration_was_saved_is_no_difference(world):
    ends = json.loads((MODEL / "generation_config.json").read_text())["eos_token_id"]
    generation(world, transformers_version="4.40.0", temperature=1.0, eos_token_id=[ends])
    assert configs(world) == {}


def test_a_generation_configuration_that_is_left_out_is_what_transformers_makes_of_the_rest(world):
    (world / "generation_config.json").unlink()
    assert configs(world) == {}
    rewrite(world / "config.json", lambda config: config.update(eos_token_id=7))
    assert set(configs(world)) == {"eos_token_id", "generation_config.eos_token_id"}


def test_a_broken_generation_configuration_is_one_line(world):
    (world / "generation_config.json").write_text("[]")
    with pytest.raises(ModelError, match=r"generation_config\.json is no generation configuration"):
        configs(world)


def test_code_that_belongs_to_the_model_is_compared(world, tmp_path):
    rewrite(world / "config.json", lambda config: config.update(auto_map={"AutoModel": "modeling.Model"}))
    (world / "modeling.py").write_text("a = 1")
    other = tmp_path / "other"
    shutil.copytree(world, other)
    assert config_differences(open_folder(world), open_folder(other)) == {}
    (other / "modeling.py").write_text("a = 2")
    assert set(config_differences(open_folder(world), open_folder(other))) == {"modeling.py"}


def test_keys_of_a_model_that_transformers_does_not_know_are_compared_as_they_are(save):
    folders = [
        save(name, llama(), config={"model_type": "unheard_of", "width": width})
        for name, width in (("one", 3), ("other", 4))
    ]
    assert config_differences(*map(open_folder, folders)) == {"width": (3, 4)}


def test_another_architecture_is_a_difference(save):
    other = save("other", llama())
    assert configs(other)["model_type"] == ("gpt2", "llama")


def test_a_copy_has_the_same_tokenizer(world):
    assert tokenizer_differences(MODEL, world) == ()
    assert files_fingerprint(MODEL) == files_fingerprint(world) != ""


def test_a_tokenizer_saved_again_by_transformers_is_the_same(world):
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    tokenizer("a text", truncation=True, max_length=4, padding="max_length")
    for file in world.glob("tokenizer*"):
        file.unlink()
    tokenizer.save_pretrained(world)
    assert tokenizer_differences(MODEL, world) == ()


def swap_two_words(rules):
    vocabulary = rules["model"]["vocab"]
    first, second = list(vocabulary)[10:12]
    vocabulary[first], vocabulary[second] = vocabulary[second], vocabulary[first]


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (swap_two_words, ("vocab",)),
        (lambda rules: rules.update(normalizer={"type": "Lowercase"}), ("normalizer",)),
        (lambda rules: rules["added_tokens"].pop(), ("added_tokens",)),
        (lambda rules: rules.update(truncation={"max_length": 3}), ()),
    ],
)
def test_what_changes_the_ids_is_a_difference(world, change, parts):
    rewrite(world / "tokenizer.json", change)
    assert tokenizer_differences(MODEL, world) == parts


def test_another_end_of_text_and_another_template_are_differences(world):
    rewrite(world / "tokenizer_config.json", lambda config: config.update(eos_token="."))
    (world / "chat_template.jinja").write_text("{{ messages }}")
    assert tokenizer_differences(MODEL, world) == ("chat_template", "eos_token")


def test_a_tokenizer_that_only_one_side_has_is_a_difference(world):
    for file in world.glob("tokenizer*"):
        file.unlink()
    assert tokenizer_differences(MODEL, world) == ("edited has none",)
    assert tokenizer_differences(world, MODEL) == ("base has none",)


def test_a_broken_tokenizer_is_one_clear_line(world):
    (world / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read as JSON"):
        tokenizer_differences(MODEL, world)


@pytest.mark.parametrize("merges", [[[["a"], "b"]], [[1, {}]], [[None]]])
def test_merges_of_other_things_than_texts_are_a_difference(world, merges):
    rewrite(world / "tokenizer.json", lambda content: content["model"].update(merges=merges))
    assert tokenizer_differences(MODEL, world) == ("merges",)


@pytest.mark.parametrize(
    "values",
    [{"n_layer": "twelve"}, {"n_head": [1]}, {"n_embd": {}}, {"vocab_size": 1e30}, {"bos_token_id": "a"}],
)
def test_a_configuration_with_values_of_other_kinds_is_a_difference_or_one_line(world, values):
    rewrite(world / "config.json", lambda config: config.update(values))
    try:
        assert list(configs(world)) == list(values)
    except ModelError as error:
        assert "is no configuration of a known model" in str(error)
