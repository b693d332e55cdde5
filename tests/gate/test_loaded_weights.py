"""The gate's verdict on folders of every layout and with every fault, against what transformers loads from them.

The oracle is `from_pretrained`: the logits of the model that it makes of a folder, or its refusal.
"""

from __future__ import annotations

import json
import math
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig
from transformers.utils import logging

from stability import Suite
from stability.api import gate
from stability.errors import MeasurementError

IDS = torch.arange(1, 17)[None]
EXACT = """\
schema: 1
name: exact
may_change: {layers: all, matrices: [attn_out]}
checks:
  finite: {metric: nonfinite, assert: "== 0"}
  same_tensors: {metric: tensor_differences, assert: "== 0"}
  same_config: {metric: config_differences, assert: "== 0"}
  frozen: {metric: frozen_weights, assert: "== 0"}
"""
ROUNDING = 0.2  # how far logits move when weights are rounded to bfloat16
WEIGHTS, INDEX, ADAPTER = "model.safetensors", "model.safetensors.index.json", "adapter_model.safetensors"
SMALL = {"vocab_size": 40, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None}
MODELS = {
    "llama": LlamaConfig(
        hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=32, initializer_range=0.2, **SMALL,
    ),
    "gpt2": GPT2Config(n_embd=16, n_inner=24, n_layer=2, n_head=4, n_positions=32, initializer_range=0.2, **SMALL),
}  # fmt: skip
FIRST = {"llama": "model.", "gpt2": "transformer."}
MATRIX = {"llama": "model.layers.1.mlp.down_proj.weight", "gpt2": "transformer.h.1.mlp.c_proj.weight"}
NORM = {"llama": "model.norm.weight", "gpt2": "transformer.ln_f.weight"}
Tensors = dict[str, Tensor]


@dataclass
class Made:
    """A folder in the making: the unedited model's folder, and what is to be read from the new one."""

    kind: str
    base: Path
    folder: Path
    tensors: Tensors
    others: Tensors  # for files that are not read: what would mislead whoever reads them

    def write(self, name: str, tensors: Tensors) -> None:
        save_file(
            {key: one.contiguous() for key, one in tensors.items()}, self.folder / name, {"format": "pt"}
        )

    def write_shards(self, tensors: Tensors, listed: Callable[[int], bool] = lambda number: True) -> None:
        files = {key: f"model-0000{number % 2}-of-00002.safetensors" for number, key in enumerate(tensors)}
        for file in set(files.values()):
            self.write(file, {key: one for key, one in tensors.items() if files[key] == file})
        weight_map = {key: file for number, (key, file) in enumerate(files.items()) if listed(number)}
        (self.folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))

    def configure(self, name: str = "config.json", **changes: Any) -> None:
        file = self.folder / name
        content = json.loads(file.read_text()) | changes
        file.write_text(json.dumps({key: value for key, value in content.items() if value != "absent"}))

    def adapt(self, zero: bool = False, **settings: Any) -> None:
        """Save an adapter of the unedited model into the folder."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = AutoModelForCausalLM.from_pretrained(self.base)
            config = {
                "r": 2,
                "lora_alpha": 6,
                "target_modules": [MATRIX[self.kind].split(".")[-2]],
                **settings,
            }
            wrapped = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **config))
            generator = torch.Generator().manual_seed(3)
            for name, parameter in wrapped.named_parameters():
                if "lora_" in name:
                    parameter.data = torch.randn(parameter.shape, generator=generator) * (0 if zero else 0.5)
            wrapped.save_pretrained(self.folder)


def single(made: Made) -> None:
    made.write(WEIGHTS, made.tensors)


def sharded(made: Made) -> None:
    made.write_shards(made.tensors)


def beside_an_index(made: Made) -> None:
    made.write_shards(made.others)
    made.write(WEIGHTS, made.tensors)


def beside_a_pickle(made: Made) -> None:
    torch.save(made.others, made.folder / "pytorch_model.bin")
    made.write(WEIGHTS, made.tensors)


def beside_a_variant(made: Made) -> None:
    made.write("model.fp16.safetensors", made.others)
    made.write("consolidated.safetensors", made.others)
    (made.folder / "original").mkdir()
    made.write("original/model.safetensors", made.others)
    made.write(WEIGHTS, made.tensors)


def named_by_the_configuration(made: Made) -> None:
    made.write(WEIGHTS, made.others)
    made.write("weights.safetensors", made.tensors)
    made.configure(transformers_weights="weights.safetensors")


def of_the_bare_model(made: Made) -> None:
    made.write(WEIGHTS, {key.removeprefix(FIRST[made.kind]): one for key, one in made.tensors.items()})


def with_half_an_index(made: Made) -> None:
    made.write_shards(made.tensors, listed=lambda number: number % 4 < 2)


def with_an_adapter_of_nothing(made: Made) -> None:
    made.write(WEIGHTS, made.tensors)
    made.adapt(zero=True)


def untouched(made: Made) -> None:
    """Equal to the base."""


def edited(made: Made) -> None:
    made.tensors[MATRIX[made.kind]] += 0.5


def scaled(made: Made) -> None:
    made.tensors[NORM[made.kind]] *= 1.5


def without_one(made: Made) -> None:
    del made.tensors[MATRIX[made.kind]]


def not_a_number(made: Made) -> None:
    made.tensors[MATRIX[made.kind]][0, 0] = math.nan


LAYOUTS = [
    single, sharded, beside_an_index, beside_a_pickle, beside_a_variant, named_by_the_configuration,
    of_the_bare_model, with_half_an_index, with_an_adapter_of_nothing,
]  # fmt: skip
FAULTS = [untouched, edited, scaled, without_one, not_a_number]


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {}
    logging.disable_progress_bar()
    for kind, config in MODELS.items():
        folders[kind] = tmp_path_factory.mktemp("bases") / kind
        with torch.random.fork_rng():
            torch.manual_seed(0)
            AutoModelForCausalLM.from_config(config).save_pretrained(folders[kind])
    return folders


@pytest.fixture
def make(bases: dict[str, Path], tmp_path: Path) -> Callable[[str], Made]:
    def start(kind: str) -> Made:
        folder = tmp_path / "edited"
        shutil.copytree(bases[kind], folder)
        (folder / WEIGHTS).unlink()
        tensors = load_file(bases[kind] / WEIGHTS)
        others = {key: torch.randn(one.shape) for key, one in tensors.items()}
        return Made(kind, bases[kind], folder, tensors, others)

    return start


def logits(folder: Path) -> Tensor | None:
    """Of the model that transformers makes of a folder; None if it refuses, or makes up weights."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model, loading = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError):
        return None
    if loading["missing_keys"] or loading["mismatched_keys"]:
        return None
    with torch.no_grad():
        return model.eval()(IDS).logits.float()


def distance(base: Path, edited: Path) -> float | None:
    """The farthest that a logit moves; None if there are none."""
    before, now = logits(base), logits(edited)
    assert before is not None
    if now is None:
        return None
    far = (now - before).abs().max().item()
    return math.inf if math.isnan(far) else far


def status(base: Path, edited: Path) -> int:
    """The exit status of a gate on the weights."""
    try:
        return gate(base, edited, Suite.parse(EXACT)).judgement.exit_status()
    except MeasurementError as error:
        assert "\n" not in str(error)
        return error.exit_status


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_a_folder_passes_if_and_only_if_what_is_loaded_from_it_is_the_base(make, layout, fault):
    made = make("gpt2" if layout in LAYOUTS[::2] else "llama")
    if fault is not untouched:  # files that nobody reads hold the unedited model
        made.others = {key: one.clone() for key, one in made.tensors.items()}
    fault(made)
    layout(made)
    far = distance(made.base, made.folder)
    assert (far == 0) is (fault is untouched)
    expected = 0 if fault is untouched else 1
    if layout is with_an_adapter_of_nothing and fault is without_one:
        expected = 3  # there is nothing that the adapter could be added to
    assert status(made.base, made.folder) == expected


def of_dtype(made: Made, dtype: torch.dtype) -> None:
    made.write(WEIGHTS, {key: one.to(dtype) for key, one in made.tensors.items()})


def in_bfloat16(made: Made) -> None:
    of_dtype(made, torch.bfloat16)


def in_float16(made: Made) -> None:
    of_dtype(made, torch.float16)


def in_float64(made: Made) -> None:
    of_dtype(made, torch.float64)


def edited_and_of_half_precision(made: Made) -> None:
    edited(made)
    in_bfloat16(made)


def loaded_in_half_precision(made: Made) -> None:
    single(made)
    made.configure(dtype="bfloat16", torch_dtype="bfloat16")


def with_a_head_that_is_the_embedding(made: Made) -> None:
    made.write(WEIGHTS, {**made.tensors, "lm_head.weight": made.tensors["transformer.wte.weight"].clone()})


def with_a_head_in_place_of_the_embedding(made: Made) -> None:
    made.tensors["lm_head.weight"] = made.tensors.pop("transformer.wte.weight")
    single(made)


def with_a_head_of_its_own(made: Made) -> None:
    made.write(WEIGHTS, {**made.tensors, "lm_head.weight": made.tensors["transformer.wte.weight"] * 1.5})


def without_a_word_on_ties(made: Made) -> None:
    single(made)
    made.configure(tie_word_embeddings="absent")


def without_a_head(made: Made) -> None:
    del made.tensors["lm_head.weight"]
    without_a_word_on_ties(made)


def with_masks(made: Made) -> None:
    masks = {f"transformer.h.{i}.attn.bias": torch.ones(1, 1, 32, 32) for i in range(2)}
    made.write(WEIGHTS, {**made.tensors, **masks})


def with_a_tensor_that_nobody_reads(made: Made) -> None:
    made.write(WEIGHTS, {**made.tensors, "value_head.weight": torch.ones(1, 16)})


def with_a_bias_that_nobody_reads(made: Made) -> None:
    made.write(WEIGHTS, {**made.tensors, "model.layers.0.mlp.down_proj.bias": torch.ones(16)})


def with_a_bias_that_is_read(made: Made) -> None:
    bias = {
        f"model.layers.{i}.mlp.{k}_proj.bias": torch.ones(n)
        for i in range(2)
        for k, n in {"down": 16, "up": 24, "gate": 24}.items()
    }
    made.write(WEIGHTS, {**made.tensors, **bias})
    made.configure(mlp_bias=True)


def with_another_shape(made: Made) -> None:
    name = MATRIX[made.kind]
    made.tensors[name] = made.tensors[name].T
    single(made)


def with_another_constant(made: Made) -> None:
    single(made)
    made.configure(rms_norm_eps=1.0)


def with_fewer_layers(made: Made) -> None:
    single(made)
    made.configure(num_hidden_layers=1)


def saved_by_another_version(made: Made) -> None:
    single(made)
    made.configure(transformers_version="4.40.0", use_cache="absent", pretraining_tp="absent")


def with_an_adapter(made: Made) -> None:
    single(made)
    made.adapt()


def with_an_adapter_that_was_merged(made: Made) -> None:
    single(made)
    made.adapt()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(made.base), made.folder)
        merged.merge_and_unload().save_pretrained(made.folder)


def with_the_configuration_of_an_adapter(made: Made) -> None:
    with_an_adapter(made)
    (made.folder / ADAPTER).unlink()


def with_a_pickled_adapter(made: Made) -> None:
    with_an_adapter(made)
    torch.save(load_file(made.folder / ADAPTER), made.folder / "adapter_model.bin")
    (made.folder / ADAPTER).unlink()


def adapter_alone(made: Made, **settings: Any) -> None:
    (made.folder / "config.json").unlink()
    made.adapt(**settings)


def adapter_of_nothing_alone(made: Made) -> None:
    adapter_alone(made, zero=True)


def adapter_of_magnitudes_alone(made: Made) -> None:
    adapter_alone(made, use_dora=True)


def of_pickles(made: Made) -> None:
    torch.save(made.tensors, made.folder / "pytorch_model.bin")


def of_a_variant(made: Made) -> None:
    made.write("model.fp16.safetensors", made.tensors)


def with_a_shard_missing(made: Made) -> None:
    sharded(made)
    (made.folder / "model-00001-of-00002.safetensors").unlink()


def with_an_index_without_metadata(made: Made) -> None:
    sharded(made)
    made.configure(INDEX, metadata="absent")


def with_a_tensor_in_two_shards(made: Made) -> None:
    sharded(made)
    first, second = (made.folder / f"model-0000{i}-of-00002.safetensors" for i in (0, 1))
    made.write(
        second.name,
        {**load_file(second), **{key: one + 1 for key, one in list(load_file(first).items())[:1]}},
    )


def with_a_tensor_under_two_names(made: Made) -> None:
    made.write(WEIGHTS, {**made.tensors, "norm.weight": made.others[NORM[made.kind]]})


def cut_short(made: Made) -> None:
    single(made)
    file = made.folder / WEIGHTS
    file.write_bytes(file.read_bytes()[:-8])


def of_codes(made: Made) -> None:
    name = MATRIX[made.kind]
    scale = made.tensors[name].abs().amax(1, keepdim=True) / 127
    codes = {
        name: (made.tensors[name] / scale).round().to(torch.int8),
        name.replace("weight", "SCB"): scale[:, 0],
    }
    made.write(WEIGHTS, {**made.tensors, **codes})


def of_codes_that_are_called_so(made: Made) -> None:
    of_codes(made)
    made.configure(quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})


def distributed(made: Made) -> None:
    single(made)
    made.write("shard-00000-model-00000-of-00001.safetensors", made.others)


CASES = [
    # kind, how it is made, how far its logits may be from the base's (None: it cannot be loaded), status
    ("llama", in_bfloat16, ROUNDING, 0),
    ("gpt2", in_bfloat16, ROUNDING, 0),
    ("llama", in_float16, ROUNDING, 0),
    ("llama", in_float64, 1e-5, 0),
    ("llama", edited_and_of_half_precision, math.inf, 1),
    ("llama", loaded_in_half_precision, ROUNDING, 0),
    ("gpt2", with_a_head_that_is_the_embedding, 0, 0),
    ("gpt2", with_a_head_in_place_of_the_embedding, 0, 0),
    ("gpt2", with_a_head_of_its_own, math.inf, 1),
    ("gpt2", without_a_word_on_ties, 0, 0),
    ("llama", without_a_word_on_ties, 0, 0),
    ("llama", without_a_head, None, 1),
    ("gpt2", with_masks, 0, 0),
    ("llama", with_a_tensor_that_nobody_reads, 0, 0),
    ("llama", with_a_bias_that_nobody_reads, 0, 0),
    ("llama", with_a_bias_that_is_read, math.inf, 1),
    ("llama", with_another_shape, None, 1),
    ("llama", with_another_constant, math.inf, 1),
    ("llama", with_fewer_layers, math.inf, 1),
    ("llama", saved_by_another_version, 0, 0),
    ("llama", with_an_adapter, math.inf, 1),
    ("gpt2", with_an_adapter, math.inf, 1),
    ("llama", with_an_adapter_that_was_merged, math.inf, 1),
    ("llama", with_the_configuration_of_an_adapter, None, 3),
    ("llama", with_a_pickled_adapter, None, 3),
    ("llama", adapter_alone, math.inf, 1),
    ("gpt2", adapter_alone, math.inf, 1),
    ("llama", adapter_of_nothing_alone, 0, 0),
    ("llama", adapter_of_magnitudes_alone, None, 3),
    ("llama", of_pickles, 0, 3),
    ("llama", of_a_variant, None, 3),
    ("llama", with_a_shard_missing, None, 3),
    ("llama", with_an_index_without_metadata, None, 3),
    ("llama", with_a_tensor_in_two_shards, math.inf, 3),
    ("llama", with_a_tensor_under_two_names, 0, 3),
    ("llama", cut_short, None, 3),
    ("llama", of_codes, math.inf, 3),
    ("llama", of_codes_that_are_called_so, None, 3),
    ("llama", distributed, math.inf, 3),
]


@pytest.mark.parametrize(
    ("kind", "layout", "far", "expected"), CASES, ids=lambda value: getattr(value, "__name__", None)
)
def test_what_is_special_of_a_folder_is_seen_as_the_loader_sees_it(make, kind, layout, far, expected):
    made = make(kind)
    layout(made)
    found = distance(made.base, made.folder)
    assert (found is None) is (far is None)
    if far is not None:
        assert (found > ROUNDING) if far == math.inf else (found <= far), found
    assert status(made.base, made.folder) == expected


def test_a_merged_folder_that_still_holds_its_adapter_is_not_what_was_merged(make):
    made = make("llama")
    with_an_adapter_that_was_merged(made)
    merged = made.folder.with_name("merged")
    shutil.copytree(made.folder, merged, ignore=shutil.ignore_patterns("adapter*"))
    assert distance(merged, made.folder) > ROUNDING
    assert status(merged, made.folder) == 1
