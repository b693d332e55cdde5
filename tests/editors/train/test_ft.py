from __future__ import annotations

from typing import Any

import pytest
import torch

from stability.data.edits import Edit
from stability.editors import find_editor
from stability.models import Snapshot, map_model

SETTINGS = {"layers": [1], "num_steps": 6, "lr": 1e-2}


def losses(tiny: Any, edits: tuple[Edit, ...]) -> torch.Tensor:
    """Each edit's target tokens' negative log-likelihoods, teacher-forced, each edit run alone."""
    every = []
    for edit in edits:
        ids = torch.tensor(tiny.tokenizer(f"{edit.filled} {edit.target}")["input_ids"])
        start = len(tiny.tokenizer(edit.filled)["input_ids"])
        log_probs = tiny.model(input_ids=ids[None]).logits[0, start - 1 : -1].log_softmax(dim=-1)
        every.append(-log_probs.gather(1, ids[start:, None])[:, 0])
    return torch.cat(every)


def plain_fine_tuning(tiny: Any, edits: tuple[Edit, ...], name: str, settings: dict[str, Any]) -> None:
    """The same through the whole model, nothing cached, nothing batched."""
    weight = tiny.model.get_parameter(name).requires_grad_(True)
    optimiser = torch.optim.Adam([weight], lr=settings["lr"], weight_decay=settings.get("weight_decay", 0.0))
    before = weight.detach().clone()
    for _ in range(settings["num_steps"]):
        optimiser.zero_grad()
        losses(tiny, edits).mean().backward()
        optimiser.step()
        if reach := settings.get("norm_constraint"):
            weight.data = torch.minimum(torch.maximum(weight.data, before - reach), before + reach)
    weight.requires_grad_(False)


@pytest.mark.parametrize("extra", [{}, {"weight_decay": 0.1}, {"norm_constraint": 0.02}], ids=str)
def test_it_is_plain_fine_tuning_of_the_one_matrix(
    tiny: Any, edits: tuple[Edit, ...], extra: dict[str, Any]
) -> None:
    settings = {**SETTINGS, **extra}
    name = map_model(tiny.model).parameter_name(1, "mlp_out")
    snapshot = Snapshot(tiny.model)
    find_editor("ft", settings).edit(tiny.model, tiny.tokenizer, edits)
    assert snapshot.changed(tiny.model) == (name,)
    ours = tiny.model.get_parameter(name).detach().clone()
    snapshot.restore(tiny.model)
    plain_fine_tuning(tiny, edits, name, settings)
    change = tiny.model.get_parameter(name) - snapshot.tensor(name)
    torch.testing.assert_close(ours - snapshot.tensor(name), change, rtol=1e-2, atol=1e-4)


def test_the_targets_become_probable(tiny: Any, edits: tuple[Edit, ...]) -> None:
    before = losses(tiny, edits).mean()
    find_editor("ft", {**SETTINGS, "num_steps": 30}).edit(tiny.model, tiny.tokenizer, edits)
    assert losses(tiny, edits).mean() < before * 0.6


def test_the_norm_constraint_holds_every_weight_near_where_it_stood(
    gpt2: Any, edits: tuple[Edit, ...]
) -> None:
    snapshot, name = Snapshot(gpt2.model), map_model(gpt2.model).parameter_name(1, "mlp_out")
    find_editor("ft", {**SETTINGS, "norm_constraint": 0.005}).edit(gpt2.model, gpt2.tokenizer, edits)
    moved = (gpt2.model.get_parameter(name) - snapshot.tensor(name)).abs()
    assert 0.0049 < moved.max() <= 0.005 + 1e-6


def test_several_layers_are_tuned_together(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    snapshot = Snapshot(gpt2.model)
    find_editor("ft", {**SETTINGS, "layers": [3, 0]}).edit(gpt2.model, gpt2.tokenizer, edits)
    assert snapshot.changed(gpt2.model) == tuple(
        f"transformer.h.{layer}.mlp.c_proj.weight" for layer in (0, 3)
    )


def test_it_stops_once_the_loss_is_small(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    snapshot = Snapshot(gpt2.model)
    find_editor("ft", {**SETTINGS, "stop_loss": 100}).edit(gpt2.model, gpt2.tokenizer, edits)
    assert snapshot.changed(gpt2.model) == ()


def test_no_gradient_is_left_behind(gpt2: Any, edits: tuple[Edit, ...]) -> None:
    find_editor("ft", SETTINGS).edit(gpt2.model, gpt2.tokenizer, edits)
    assert all(parameter.grad is None for parameter in gpt2.model.parameters())
