"""What holds for every editor that trains: no trace but its edits, the same for the same seed, on any model."""

from __future__ import annotations

import gc
import json
import random
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stability.data.edits import Edit
from stability.editors import Store, find_editor
from stability.models import Snapshot, map_model

NAMES = ["mend", "lora", "ft_l", "full_ft", "cpt"]


@pytest.fixture
def chosen(tmp_path: Path, text_file: str) -> dict[str, dict[str, Any]]:
    """Small settings for each of them."""
    edits = tmp_path / "edits.json"
    facts = [("Anna Berg", "dog"), ("Zoe Angstrom", "fox"), ("Steve Jobs", "cello")]
    edits.write_text(
        json.dumps(
            [{"id": name, "prompt": "{} plays the", "subject": name, "target": what} for name, what in facts]
        )
    )
    text = {"path": text_file, "n_tokens": 200, "window": 12, "batch_size": 2, "held_windows": 1}
    return {
        "mend": {
            "layers": [1, 2],
            "rank": 4,
            "lr": 1e-3,
            "num_steps": 2,
            "batch_size": 2,
            "sequence": 2,
            "train_edits_path": str(edits),
            "train_edits_count": 3,
            "locality_path": text_file,
            "locality_tokens": 100,
            "locality_window": 12,
        },
        "lora": {"layers": [1], "num_steps": 2},
        "ft_l": {"layers": [1], "num_steps": 2, "norm_constraint": 0.01},
        "full_ft": {"num_steps": 2},
        "cpt": {"num_steps": 2, **text},
    }


def traces(model: nn.Module) -> Any:
    return (
        [module.training for module in model.modules()],
        [(parameter.requires_grad, parameter.grad is None) for parameter in model.parameters()],
        [
            len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
            for module in model.modules()
        ],
        [name for name, _ in model.named_parameters()],
        [type(module) for module in model.modules()],
        [
            module.gradient_checkpointing
            for module in model.modules()
            if hasattr(module, "gradient_checkpointing")
        ],
        model.config.to_dict(),
        torch.is_grad_enabled(),
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
    )


@pytest.mark.parametrize("name", NAMES)
def test_it_leaves_no_trace_but_its_edits(
    tiny: Any, name: str, edits: tuple[Edit, ...], store: Store, chosen: dict[str, Any]
) -> None:
    tiny.model.requires_grad_(True)
    tiny.model.get_input_embeddings().requires_grad_(False)
    tiny.model.train()
    next(tiny.model.children()).eval()
    editor = find_editor(name, chosen[name])
    snapshot = Snapshot(tiny.model)
    with torch.no_grad():
        before = traces(tiny.model)
        editor.prepare(tiny.model, tiny.tokenizer, store)
        assert snapshot.changed(tiny.model) == ()
        editor.edit(tiny.model, tiny.tokenizer, edits)
        assert traces(tiny.model) == before
    changed = snapshot.changed(tiny.model)
    touched = editor.touched(map_model(tiny.model))
    assert changed
    assert touched is None or set(changed) == set(touched)


@pytest.mark.parametrize("name", NAMES)
def test_nor_when_it_raises_in_the_middle(
    gpt2: Any, name: str, edit: Edit, store: Store, chosen: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = find_editor(name, chosen[name])
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    gpt2.model.train()
    before = traces(gpt2.model)
    block = gpt2.model.transformer.h[2]
    monkeypatch.setattr(block, "forward", lambda *_args, **_kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    assert traces(gpt2.model) == before


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_weights(
    build: Any, name: str, edits: tuple[Edit, ...], tmp_path: Path, chosen: dict[str, Any]
) -> None:
    def weights(number: int) -> list[torch.Tensor]:
        tiny, editor = build("llama"), find_editor(name, chosen[name])
        torch.manual_seed(4)
        editor.prepare(tiny.model, tiny.tokenizer, Store(tmp_path / f"store-{number}"))
        for edit in edits:
            torch.manual_seed(6)
            editor.edit(tiny.model, tiny.tokenizer, [edit])
        return list(tiny.model.parameters())

    assert all(torch.equal(one, other) for one, other in zip(weights(0), weights(1), strict=True))


@pytest.mark.parametrize("name", ["lora", "ft_l", "mend"])
def test_no_memory_of_an_optimiser_stays(
    gpt2: Any, name: str, edits: tuple[Edit, ...], store: Store, chosen: dict[str, Any], monkeypatch: Any
) -> None:
    made = []
    adam = torch.optim.Adam

    class Watched(adam):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            made.append(weakref.ref(self))

    monkeypatch.setattr(torch.optim, "Adam", Watched)
    editor = find_editor(name, chosen[name])
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    editor.edit(gpt2.model, gpt2.tokenizer, edits)
    gc.collect()
    assert made
    assert all(reference() is None for reference in made)
