from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stability.data.edits import Edit
from stability.editors.locate.steps.keys import subject_states
from stability.editors.locate.steps.prompts import build_prompts
from stability.editors.locate.steps.values import Value, ValueSettings, optimise_value
from stability.models import map_model
from stability.models.modes import frozen

CONTEXTS = ("", "the dog is lazy . ", "Paris is not Rome . a friend . ")
LAYER = 1


FREE = ValueSettings(v_num_grad_steps=30, v_weight_decay=0, kl_factor=0, clamp_norm_factor=1000)


def find(tiny: Any, edit: Edit, settings: ValueSettings, layer: int = LAYER) -> tuple[Value, Tensor]:
    found = map_model(tiny.model)
    with frozen(tiny.model):
        prompts = build_prompts(tiny.tokenizer, edit, CONTEXTS)
        states = subject_states(tiny.model, found, prompts, layer)
        v0 = states.values[0]
        return optimise_value(prompts, states.above, v0, settings), v0


def plain_search(
    tiny: Any, edit: Edit, settings: ValueSettings, layer: int = LAYER
) -> tuple[Tensor, list[float]]:
    """The same search the plain way: every row alone through the whole model, δ put in by a hook."""
    model, tokenizer = tiny.model, tiny.tokenizer
    module = map_model(model).module(layer, "mlp_out")
    target = tokenizer(" " + edit.target)["input_ids"]
    prefixes: Sequence[str] = [context + edit.filled for context in CONTEXTS]
    end_of_subject = [prefix.index(edit.subject) + len(edit.subject) for prefix in prefixes]
    heads = [
        tokenizer(prefix[:end])["input_ids"] for prefix, end in zip(prefixes, end_of_subject, strict=True)
    ]
    rows = [tokenizer(prefix)["input_ids"] + target for prefix in prefixes]
    essence = tokenizer(f"{edit.subject} is a")["input_ids"]
    essence_at = len(tokenizer(edit.subject)["input_ids"]) - 1

    def log_probs(ids: list[int], at: int, delta: Tensor | None) -> Tensor:
        def intervention(_module: nn.Module, _args: object, output: Tensor) -> Tensor:
            pushed = output.clone()
            pushed[0, at] = pushed[0, at] + delta
            return pushed

        hook = None if delta is None else module.register_forward_hook(intervention)
        result: Tensor = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(dim=-1)
        if hook is not None:
            hook.remove()
        return result

    outputs: list[Tensor] = []
    hook = module.register_forward_hook(lambda _module, _args, output: outputs.append(output))
    with torch.no_grad():
        model(input_ids=torch.tensor([rows[0]]))
    hook.remove()
    v0 = outputs[0][0, len(heads[0]) - 1]
    before = log_probs(essence, essence_at, None)[essence_at].detach()
    delta = torch.zeros_like(v0, requires_grad=True)
    optimiser = torch.optim.Adam([delta], lr=settings.v_lr)
    losses = []
    for step in range(settings.v_num_grad_steps):
        nll = torch.zeros(())
        for ids, head in zip(rows, heads, strict=True):
            answers = log_probs(ids[:-1], len(head) - 1, delta)[-len(target) :]
            nll = nll - answers[range(len(target)), target].mean() / len(rows)
        now = log_probs(essence, essence_at, delta)[essence_at]
        kl = (now.exp() * (now - before)).sum()
        loss = nll + settings.kl_factor * kl + settings.v_weight_decay * delta.norm() / v0.norm() ** 2
        losses.append(loss.item())
        if loss < settings.v_stop_loss or step == settings.v_num_grad_steps - 1:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            delta *= min(1.0, (settings.clamp_norm_factor * v0.norm() / delta.norm()).item())
    return delta.detach(), losses


@pytest.mark.parametrize(
    "settings",
    [
        ValueSettings(v_num_grad_steps=8, v_lr=0.1, kl_factor=1.0, clamp_norm_factor=10),
        ValueSettings(v_num_grad_steps=8, v_lr=0.5, kl_factor=0.0625, clamp_norm_factor=0.75),
    ],
    ids=["free", "clamped"],
)
def test_it_is_the_search_through_the_whole_model(tiny: Any, edit: Edit, settings: ValueSettings) -> None:
    value, _ = find(tiny, edit, settings)
    delta, losses = plain_search(tiny, edit, settings)
    assert value.losses == pytest.approx(losses, abs=1e-5)
    torch.testing.assert_close(value.delta, delta, rtol=1e-3, atol=1e-4)


def test_the_last_layer_can_be_searched_where_the_subject_ends_the_prompt(tiny: Any, near: Edit) -> None:
    settings = ValueSettings(v_num_grad_steps=4, v_lr=0.1)
    value, _ = find(tiny, near, settings, layer=3)
    assert value.losses == pytest.approx(plain_search(tiny, near, settings, layer=3)[1], abs=1e-5)


def test_the_loss_falls_and_the_target_becomes_probable(tiny: Any, near: Edit) -> None:
    value, _ = find(tiny, near, FREE)
    assert value.losses[-1] < value.losses[0] / 2


def test_it_stops_once_the_loss_is_small(tiny: Any, near: Edit) -> None:
    full, _ = find(tiny, near, FREE)
    enough = full.losses[0] * 0.8
    early, _ = find(tiny, near, FREE.model_copy(update={"v_stop_loss": enough}))
    steps = next(step for step, loss in enumerate(full.losses) if loss < enough)
    assert 0 < steps < len(full.losses) - 1
    assert early.losses == full.losses[: steps + 1]


def test_the_last_evaluation_is_followed_by_no_update(tiny: Any, edit: Edit) -> None:
    value, _ = find(tiny, edit, ValueSettings(v_num_grad_steps=1))
    assert len(value.losses) == 1
    assert value.delta.eq(0).all()


def test_the_change_stays_within_the_clamp(tiny: Any, edit: Edit) -> None:
    value, v0 = find(tiny, edit, ValueSettings(v_lr=2.0, clamp_norm_factor=0.5))
    assert value.delta.norm() <= 0.5 * v0.norm() * (1 + 1e-5)


def test_padding_and_a_half_precise_model_do_no_harm(gpt2: Any, edit: Edit) -> None:
    settings = ValueSettings(v_num_grad_steps=4, v_lr=0.1)
    precise, _ = find(gpt2, edit, settings)
    gpt2.model.to(torch.bfloat16)
    rough, _ = find(gpt2, edit, settings)
    assert rough.delta.dtype == torch.float32
    assert rough.losses == pytest.approx(precise.losses, rel=0.05)
