"""What built-in editors leave as it was: modes, flags, hooks, gradients and random states."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from stability.data.edits import Edit
from stability.editors import Store, find_editor
from stability.models import Snapshot


def editor_settings(name: str, text_file: str) -> dict[str, Any]:
    rome = {
        "layers": 1,
        "v_num_grad_steps": 3,
        "mom2_path": text_file,
        "mom2_n_tokens": 300,
        "mom2_ridge": 0.01,
    }
    return {"rome": rome, "ft": {"layers": 1, "num_steps": 2}, "none": {}}[name]


def traces(model: nn.Module) -> Any:
    return (
        [module.training for module in model.modules()],
        [(parameter.requires_grad, parameter.grad is None) for parameter in model.parameters()],
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        [name for name, _ in model.named_parameters()],
        torch.is_grad_enabled(),
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
    )


@pytest.mark.parametrize("grad", [True, False], ids=["grad", "no_grad"])
@pytest.mark.parametrize("name", ["rome", "ft", "none"])
def test_an_editor_leaves_no_trace_but_its_edits(
    tiny: Any, name: str, grad: bool, edits: Any, store: Store, text_file: str
) -> None:
    tiny.model.requires_grad_(True)
    tiny.model.get_input_embeddings().requires_grad_(False)
    tiny.model.train()
    next(tiny.model.children()).eval()
    editor = find_editor(name, editor_settings(name, text_file))
    with torch.set_grad_enabled(grad):
        before = traces(tiny.model)
        editor.prepare(tiny.model, tiny.tokenizer, store)
        assert traces(tiny.model) == before
        editor.edit(tiny.model, tiny.tokenizer, edits)
        assert traces(tiny.model) == before


@pytest.mark.parametrize("name", ["rome", "ft"])
def test_nor_when_it_raises_in_the_middle(
    gpt2: Any, name: str, edit: Edit, store: Store, text_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = find_editor(name, editor_settings(name, text_file))
    editor.prepare(gpt2.model, gpt2.tokenizer, store)
    gpt2.model.train()
    before = traces(gpt2.model)
    block = gpt2.model.transformer.h[2]
    monkeypatch.setattr(block, "forward", lambda *_args, **_kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        editor.edit(gpt2.model, gpt2.tokenizer, [edit])
    assert traces(gpt2.model) == before


def test_the_control_changes_nothing(tiny: Any, edits: Any, store: Store) -> None:
    snapshot = Snapshot(tiny.model)
    editor = find_editor("none")
    editor.prepare(tiny.model, tiny.tokenizer, store)
    assert editor.edit(tiny.model, tiny.tokenizer, edits) is tiny.model
    assert snapshot.changed(tiny.model) == ()
