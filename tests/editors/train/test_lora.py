"""LoRA: merged it is a change of the weights and nothing else, kept alive it is PEFT's model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import nn

from stability.data.edits import Edit
from stability.editors import find_editor
from stability.models import Snapshot, map_model

SETTINGS = {"layers": [1, 2], "rank": 3, "alpha": 12, "dropout": 0, "num_steps": 5, "lr": 1e-2}
IDS = torch.tensor([[5, 9, 20, 31, 40, 7]])


def loss_of(model: nn.Module, tokenizer: Any, edits: tuple[Edit, ...]) -> torch.Tensor:
    """The mean over all target tokens, each edit run alone."""
    losses = []
    for edit in edits:
        ids = torch.tensor(tokenizer(f"{edit.filled} {edit.target}")["input_ids"])
        start = len(tokenizer(edit.filled)["input_ids"])
        log_probs = model(input_ids=ids[None]).logits[0, start - 1 : -1].log_softmax(dim=-1)
        losses.append(-log_probs.gather(1, ids[start:, None])[:, 0])
    return torch.cat(losses).mean()


def adapters(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: weight for name, weight in model.named_parameters() if "lora_" in name}


def live(tiny: Any, edits: tuple[Edit, ...], **other: Any) -> Any:
    editor = find_editor("lora", {**SETTINGS, "merge": False, **other})
    torch.manual_seed(0)
    return editor.edit(tiny.model, tiny.tokenizer, edits)


def test_merged_the_change_is_the_scaled_product_of_the_live_adapter(
    build: Any, tiny: Any, edits: tuple[Edit, ...]
) -> None:
    same = build(tiny.model.config.model_type)
    torch.manual_seed(0)
    assert find_editor("lora", SETTINGS).edit(same.model, same.tokenizer, edits) is same.model
    merged, base = map_model(same.model), map_model(tiny.model)
    before = {
        matrix.name: base.weight(matrix).double().numpy().copy()
        for matrix in base.matrices
        if matrix.kind.startswith("mlp")
    }
    wrapped = adapters(live(tiny, edits))
    changed = 0
    for name, old in before.items():
        path = f"base_model.model.{name.removesuffix('.weight')}"
        change = merged.weight(name).double().numpy() - old
        if f"{path}.lora_A.default.weight" not in wrapped:
            assert not change.any()
            continue
        a, b = (wrapped[f"{path}.lora_{part}.default.weight"].double().numpy() for part in "AB")
        assert abs(change - 12 / 3 * b @ a).max() < 1e-6
        assert abs(change).max() > 1e-3
        changed += 1
    assert changed == 2 * len([matrix for matrix in base.matrices if matrix.name in before]) // 4


def test_the_merged_model_says_what_the_unmerged_says(build: Any, tiny: Any, edits: tuple[Edit, ...]) -> None:
    same = build(tiny.model.config.model_type)
    torch.manual_seed(0)
    find_editor("lora", SETTINGS).edit(same.model, same.tokenizer, edits)
    unedited = tiny.model(input_ids=IDS).logits
    alive = live(tiny, edits)(input_ids=IDS).logits
    torch.testing.assert_close(same.model(input_ids=IDS).logits, alive, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(unedited, alive, atol=1e-2)


def test_its_first_step_is_adams_on_b_alone(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    """B begins at 0, so that A has no gradient; Adam's first step is the learning rate in every element."""
    for name, weight in adapters(live(gpt2, edits, num_steps=1)).items():
        if "lora_B" in name:
            torch.testing.assert_close(weight.abs(), torch.full_like(weight, 1e-2), rtol=1e-3, atol=0)
        else:
            assert weight.abs().max() <= 1 / 24**0.5  # as it was drawn, uniformly, from 24 inputs or more


def test_merged_no_trace_of_peft_is_left(tiny: Any, edits: tuple[Edit, ...]) -> None:
    modules = [(name, type(module)) for name, module in tiny.model.named_modules()]
    attributes, snapshot = set(vars(tiny.model)), Snapshot(tiny.model)
    config = tiny.model.config.to_dict()
    find_editor("lora", SETTINGS).edit(tiny.model, tiny.tokenizer, edits)
    assert [(name, type(module)) for name, module in tiny.model.named_modules()] == modules
    assert set(vars(tiny.model)) == attributes
    assert tiny.model.config.to_dict() == config
    found = map_model(tiny.model)
    expected = {one.name for one in found.matrices if one.layer in (1, 2) and one.kind.startswith("mlp")}
    assert set(snapshot.changed(tiny.model)) == expected
    assert set(find_editor("lora", SETTINGS).touched(found) or ()) == expected


def test_live_one_adapter_is_trained_on_and_the_weights_stay(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    base = {name: weight.clone() for name, weight in gpt2.model.named_parameters()}
    editor = find_editor("lora", {**SETTINGS, "merge": False})
    first = editor.edit(gpt2.model, gpt2.tokenizer, edits[:1])
    assert isinstance(first, PeftModel)
    once = {name: weight.clone() for name, weight in adapters(first).items()}
    second = editor.edit(first, gpt2.tokenizer, edits[1:])
    assert second is first
    assert all(not torch.equal(once[name], weight) for name, weight in adapters(second).items())
    second.unload()
    assert all(torch.equal(base[name], weight) for name, weight in gpt2.model.named_parameters())


def test_a_live_adapter_goes_on_from_its_state(build: Any, edits: tuple[Edit, ...]) -> None:
    def run(interrupted: bool) -> dict[str, torch.Tensor]:
        tiny = build("llama")
        editor = find_editor("lora", {**SETTINGS, "merge": False})
        torch.manual_seed(0)
        model = editor.edit(tiny.model, tiny.tokenizer, edits[:1])
        if interrupted:
            state, tiny = editor.state(), build("llama")
            model, editor = tiny.model, find_editor("lora", {**SETTINGS, "merge": False})
            editor.load_state(state)
        torch.manual_seed(1)
        return adapters(editor.edit(model, tiny.tokenizer, edits[1:]))

    straight, resumed = run(False), run(True)
    assert straight.keys() == resumed.keys()
    assert all(torch.equal(straight[name], resumed[name]) for name in straight)


@pytest.mark.parametrize("merge", [True, False])
def test_the_targets_become_probable(tiny: Any, edits: tuple[Edit, ...], merge: bool) -> None:
    before = loss_of(tiny.model, tiny.tokenizer, edits).item()
    editor = find_editor("lora", {**SETTINGS, "num_steps": 40, "merge": merge})
    model = editor.edit(tiny.model, tiny.tokenizer, edits)
    after = loss_of(model, tiny.tokenizer, edits).item()
    assert after < 0.5 * before
    reported = [row["training_loss"] for row in editor.report(2)]
    assert max(reported) < before
    assert sum(reported) / 2 == pytest.approx(after, abs=0.5)


def test_dropout_is_used_and_seeded(build: Any, edits: tuple[Edit, ...]) -> None:
    def weight(seed: int, dropout: float) -> torch.Tensor:
        tiny = build("gpt2")
        torch.manual_seed(seed)
        find_editor("lora", {**SETTINGS, "dropout": dropout}).edit(tiny.model, tiny.tokenizer, edits)
        return tiny.model.transformer.h[1].mlp.c_fc.weight

    assert torch.equal(weight(0, 0.5), weight(0, 0.5))
    assert not torch.equal(weight(0, 0.5), weight(0, 0.0))
    assert not torch.equal(weight(0, 0.5), weight(1, 0.5))


def test_half_precision_adapters_are_trained_in_float32(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    gpt2.model.bfloat16()
    wrapped = live(gpt2, edits)
    assert {weight.dtype for weight in adapters(wrapped).values()} == {torch.float32}
    wrapped.unload()
    find_editor("lora", SETTINGS).edit(gpt2.model, gpt2.tokenizer, edits)
    assert {weight.dtype for weight in gpt2.model.parameters()} == {torch.bfloat16}


def test_gradient_checkpointing_is_left_as_it_was(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    enable = getattr(gpt2.model, "activation_checkpointing_enable", None)  # its name since transformers 5
    (enable or gpt2.model.gradient_checkpointing_enable)()

    def checkpointing() -> list[Any]:
        return [
            (name, len(module._forward_hooks), getattr(module, "gradient_checkpointing", None))
            for name, module in gpt2.model.named_modules()
        ]

    before = checkpointing()
    assert any(enabled for _, _, enabled in before)
    find_editor("lora", SETTINGS).edit(gpt2.model, gpt2.tokenizer, edits)
    assert checkpointing() == before
