from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedTokenizerFast

from stability.errors import ModelError
from stability.models import describe_model, load_model, model_fingerprint
from stability.suite import ModelSpec

# Merges shorter than the prefix that is cut off them: the tokenizer panics, which is no Exception.
PANICKING = {
    "type": "BPE",
    "vocab": {"a": 0, "b": 1, "ab": 2},
    "merges": ["a b"],
    "continuing_subword_prefix": "##",
}


@pytest.fixture
def folder(
    tmp_path: Path, gpt2: nn.Module, build_tokenizer: Callable[[str], PreTrainedTokenizerFast]
) -> Path:
    gpt2.save_pretrained(tmp_path)
    build_tokenizer("words").save_pretrained(tmp_path)
    return tmp_path


def load(folder: Path, **spec: object) -> nn.Module:
    return load_model(ModelSpec(name=str(folder), **spec)).model


def test_a_folder_is_loaded_bit_for_bit_and_ready_for_measuring(folder: Path, gpt2: nn.Module) -> None:
    loaded = load_model(ModelSpec(name=str(folder)))
    assert model_fingerprint(loaded.model) == model_fingerprint(gpt2)
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.tokenizer("Anna plays")["input_ids"]
    assert loaded.name == str(folder)


def test_the_dtype_is_the_one_asked_for(folder: Path) -> None:
    assert load(folder, dtype="bfloat16").dtype == torch.bfloat16
    assert load(folder, dtype="auto").dtype == torch.float32


def test_the_description_says_what_was_loaded(folder: Path, gpt2: nn.Module) -> None:
    info = describe_model(load_model(ModelSpec(name=str(folder), device="cpu")))
    assert (info.architecture, info.layers, info.dtype, info.device) == ("gpt2", 3, "float32", "cpu")
    assert info.parameters == sum(parameter.numel() for parameter in gpt2.parameters())
    assert info.fingerprint == model_fingerprint(gpt2)
    assert len(info.matrices) == 12


def test_a_missing_folder_is_named() -> None:
    with pytest.raises(ModelError, match=r"no model at \./nowhere: there is no such folder"):
        load_model(ModelSpec(name="./nowhere"))


def test_a_folder_without_a_configuration_is_no_model(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        load(folder)


def test_pickled_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"a pickle \(pytorch_model\.bin\).* save the model as safetensors"):
        load(folder)


def test_no_weights_at_all_are_an_error(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights in .* expected model\.safetensors"):
        load(folder)


@pytest.mark.parametrize("kept", [0, 4, 1000, -1])
def test_truncated_weights_are_an_error_that_names_the_file(folder: Path, kept: int) -> None:
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:kept])
    with pytest.raises(ModelError, match=r"model\.safetensors is truncated or damaged"):
        load(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"transformer.wte.weight": "model-00001-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"incomplete: model-00001-of-00002\.safetensors is missing"):
        load(folder)


@pytest.mark.parametrize("letter", ["a", "ü", "\ud800"])
def test_a_shard_whose_name_no_file_can_have_is_one_line(folder: Path, letter: str) -> None:
    (folder / "model.safetensors").unlink()
    index = {"metadata": {}, "weight_map": {"transformer.wte.weight": f"{letter * 250}.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="is not the name of a file in the folder") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_cover_the_model_are_an_error(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["transformer.h.1.mlp.c_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"incomplete: 1 missing keys, first transformer\.h\.1\.mlp\.c_proj"):
        load(folder)


def test_a_broken_configuration_is_one_line(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read as JSON") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_an_unknown_device_is_named(folder: Path) -> None:
    with pytest.raises(ModelError, match="to quantum"):
        load(folder, device="quantum")


CODE = """
from transformers import GPT2LMHeadModel

class Negated(GPT2LMHeadModel):
    def forward(self, *args, **kwargs):
        result = super().forward(*args, **kwargs)
        result.logits = -result.logits
        return result
"""


def test_code_of_a_repository_runs_only_where_the_suite_says_so_and_the_record_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cache = tmp_path_factory.mktemp("modules")
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(cache))
    (folder / "modeling_negated.py").write_text(CODE)
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "modeling_negated.Negated"}
    (folder / "config.json").write_text(json.dumps(config))
    plain = load_model(ModelSpec(name=str(folder)))
    trusted = load_model(ModelSpec(name=str(folder), trust_remote_code=True))
    ids = torch.arange(1, 5)[None]
    torch.testing.assert_close(trusted.model(ids).logits, -plain.model(ids).logits)
    assert [describe_model(one).remote_code for one in (plain, trusted)] == [False, True]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("config.json", {"activation_function": ["gelu"]}),
        ("config.json", {"n_head": "two"}),
        ("config.json", {"layer_norm_epsilon": {}}),
        ("tokenizer.json", {"pre_tokenizer": 3}),
        ("tokenizer.json", {"model": {"type": "BPE", "vocab": [], "merges": [1]}}),
        ("tokenizer.json", {"model": None}),
        ("tokenizer.json", {"model": PANICKING}),
        ("tokenizer_config.json", {"tokenizer_class": ["GPT2Tokenizer"]}),
        ("tokenizer_config.json", {"eos_token": [1]}),
    ],
    ids=str,
)
def test_values_of_other_kinds_in_a_model_s_files_are_one_line(
    folder: Path, name: str, values: dict[str, Any]
) -> None:
    file = folder / name
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
    with pytest.raises(ModelError, match=r"^cannot load model .*: ."):
        load(folder)


@pytest.mark.parametrize("blocks", [10**6, 2 * 10**13, 1e300])
def test_more_blocks_than_there_are_tensors_are_not_built(folder: Path, blocks: float) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "n_layer": blocks}))
    with pytest.raises(ModelError, match=r"config\.json: n_layer is .*, but the weights have \d+ tensors"):
        load(folder)
