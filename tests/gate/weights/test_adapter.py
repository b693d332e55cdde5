"""Adapters merged tensor by tensor, against PEFT's own merging."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from stability.errors import ModelError
from stability.gate.files.folder import open_folder
from stability.gate.files.layout import lay_out
from stability.gate.weights.adapter import merged
from stability.gate.weights.compare import compare
from stability.gate.weights.numbers import numbers_of
from stability.gate.weights.windows import Reader, Window
from stability.models import load_model
from stability.suite import ModelSpec
from stability.world import MODEL
from tests.gate.files.test_layout import GPT, SIZES


@pytest.fixture(params=["llama", "gpt2"])
def base(request, tmp_path):
    sizes = GPT if request.param == "gpt2" else SIZES
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[request.param](**sizes))
    model.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def adapt(base, folder, config):
    """Save an adapter with random factors; return what PEFT makes of the model with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        generator = torch.Generator().manual_seed(4)
        for parameter in wrapped.parameters():
            if parameter.requires_grad:
                parameter.data = torch.randn(parameter.shape, generator=generator)
        wrapped.save_pretrained(folder)
        return wrapped.merge_and_unload().state_dict()


def values(tensor):
    reader = Reader()
    try:
        flat = numbers_of(reader, tensor, Window(tensor.name, 0, tensor.elements))
        return torch.from_numpy(np.array(flat, np.float32)).reshape(tensor.shape)
    finally:
        reader.close()


def read(folder):
    return merged(lay_out(open_folder(folder)))


MATRICES = {"llama": ["q_proj", "o_proj", "down_proj"], "gpt2": ["c_attn", "c_proj"]}
KINDS = {
    "plain": {},
    "rank_stabilised": {"use_rslora": True},
    "by_module": {"rank_pattern": {".*1.*": 3}, "alpha_pattern": {".*0.*proj": 7}},
    "turned": {"fan_in_fan_out": True},
    "of_one_layer": {"layers_to_transform": [1]},
    "with_a_head": {"modules_to_save": ["lm_head"]},
    "of_all_linear": {"target_modules": "all-linear"},
    "without_a_pattern": {"exclude_modules": r".*\.1\..*"},
    "without_some": {"exclude_modules": ["o_proj", "c_attn"]},
    "begun_beside_nothing": {"init_lora_weights": False},
    "of_a_pattern": {"target_modules": r".*\.1\..*(down|c)_proj"},
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_lora_is_merged_as_peft_merges_it(base, tmp_path, kind):
    targets = MATRICES[json.loads((base / "config.json").read_text())["model_type"]]
    settings = {"r": 2, "lora_alpha": 6, "target_modules": targets, **KINDS[kind]}
    expected = adapt(base, tmp_path / "adapter", LoraConfig(task_type="CAUSAL_LM", **settings))
    found = read(tmp_path / "adapter")
    changed = [
        name
        for name, tensor in found.tensors.items()
        if tensor.added or tensor.file.name.startswith("adapter")
    ]
    assert changed
    for name, tensor in found.tensors.items():
        torch.testing.assert_close(
            values(tensor), expected[name].float(), msg=lambda text, name=name: f"{name}: {text}"
        )
    ranks = {
        name: change.rank
        for name, change in compare(read(base), found).changes.items()
        if found.tensors[name].added
    }
    assert set(ranks.values()) <= {2, 3}


def test_an_embedding_is_merged_too(base, tmp_path):
    targets = ["embed_tokens", "wte"]
    targets = [name for name in targets if any(name in key for key in load_file(base / "model.safetensors"))]
    expected = adapt(base, tmp_path / "adapter", LoraConfig(r=2, lora_alpha=6, target_modules=targets))
    found = read(tmp_path / "adapter")
    (name,) = [name for name, tensor in found.tensors.items() if tensor.added]
    torch.testing.assert_close(values(found.tensors[name]), expected[name].float())


def test_an_adapter_is_read_and_loaded_over_the_model_that_it_names(tmp_path):
    expected = adapt(MODEL, tmp_path, LoraConfig(r=2, target_modules=["c_proj"]))
    found = read(tmp_path)
    loaded = load_model(ModelSpec(name=str(tmp_path), device="cpu"))
    name = "transformer.h.1.mlp.c_proj.weight"
    torch.testing.assert_close(values(found.tensors[name]), expected[name])
    torch.testing.assert_close(loaded.model.state_dict()[name], expected[name])
    assert loaded.tokenizer("a")["input_ids"]
    assert (found.folder.tokenizer, found.folder.path, found.folder.is_adapter_alone) == (MODEL, MODEL, True)


def rewrite(folder, **changes):
    file = folder / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_an_adapter_of_a_model_on_the_hub_is_laid_over_the_base_that_is_gated(tmp_path):
    adapt(MODEL, tmp_path, LoraConfig(r=2, target_modules=["c_proj"]))
    rewrite(tmp_path, base_model_name_or_path="somebody/world")
    with pytest.raises(ModelError, match="an adapter of somebody/world, and there is no such folder"):
        open_folder(tmp_path)
    assert open_folder(tmp_path, open_folder("world")).path == MODEL
    assert load_model(ModelSpec(name=str(tmp_path), device="cpu"), adapter_base="world").tokenizer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "LOHA"}, "of type LOHA cannot be merged"),
        ({"use_dora": True}, "LoRA with use_dora"),
        ({"bias": "all"}, "LoRA with bias"),
        ({"unheard_of": {"a": 1}}, "LoRA with unheard_of"),
        ({"init_lora_weights": "pissa"}, "'pissa' changes the model under it"),
        ({"r": 5}, "factors of rank 2 for .*, not 5"),
        ({"target_modules": ["c_attn"]}, "is incomplete: it has no weights for"),
        ({"target_modules": ["nothing"]}, "which its target_modules do not name"),
        ({"base_model_name_or_path": None}, "does not name"),
    ],
)
def test_what_cannot_be_merged_is_one_line(tmp_path, changes, message):
    adapt(MODEL, tmp_path, LoraConfig(r=2, target_modules=["c_proj"]))
    rewrite(tmp_path, **changes)
    with pytest.raises(ModelError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)


def test_another_kind_of_adapter_is_refused(tmp_path):
    adapt(MODEL, tmp_path, IA3Config(target_modules=["c_proj"], feedforward_modules=["c_proj"]))
    with pytest.raises(ModelError, match="of type IA3 cannot be merged"):
        read(tmp_path)


def test_an_adapter_that_lacks_a_factor_is_refused_by_both_readers(tmp_path):
    adapt(MODEL, tmp_path, LoraConfig(r=2, target_modules=["c_proj"]))
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    save_file(dict(list(tensors.items())[1:]), tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="does not hold both factors"):
        read(tmp_path)
    with pytest.raises(ModelError, match=r"adapter in .* is incomplete"):
        load_model(ModelSpec(name=str(tmp_path), device="cpu"))


@pytest.mark.parametrize("factor", ["lora_A", "lora_B"])
def test_an_adapter_whose_factors_do_not_fit_the_matrix_is_refused(tmp_path, factor):
    adapt(MODEL, tmp_path, LoraConfig(r=2, target_modules=["c_proj"]))
    tensors = load_file(tmp_path / "adapter_model.safetensors")
    name = next(key for key in tensors if factor in key)
    rows, columns = tensors[name].shape
    tensors[name] = torch.zeros((rows + 1, columns) if factor == "lora_B" else (rows, columns + 1))
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"does not fit .*c_proj, whose weight is"):
        read(tmp_path)


def test_which_linear_layers_all_linear_means_is_not_asked(tmp_path):
    adapt(MODEL, tmp_path, LoraConfig(r=2, target_modules=["c_proj"]))
    rewrite(tmp_path, target_modules="all-linear")
    changed = [name for name, tensor in read(tmp_path).tensors.items() if tensor.added]
    assert changed
    assert all(name.endswith("c_proj.weight") for name in changed)
