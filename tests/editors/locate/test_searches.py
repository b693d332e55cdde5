"""The search for values, held against plain autograd through the whole model, a row at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stability.data.edits import Edit
from stability.editors.locate.steps.interventions import BlockIntervention, Intervention, StreamIntervention
from stability.editors.locate.steps.keys import subject_states
from stability.editors.locate.steps.prompts import EditPrompts, build_prompts
from stability.editors.locate.steps.sublayers import SUBLAYERS, sublayer_outputs
from stability.editors.locate.steps.values import SureTargets, Value, ValueSettings, optimise_values
from stability.models import map_model, suspend
from stability.models.modes import frozen

CONTEXTS = ("", "the dog is lazy . ", "Paris is not Rome . a friend . ")
LAYER = 1
SURE = SureTargets(nll_factor=0.1, kl=0.01)
SETTINGS = {
    "free": ValueSettings(v_num_grad_steps=8, v_lr=0.1, kl_factor=1.0, clamp_norm_factor=10),
    "clamped": ValueSettings(v_num_grad_steps=8, v_lr=0.5, kl_factor=0.0625, clamp_norm_factor=0.75),
}
EASY = ValueSettings(v_num_grad_steps=40, v_weight_decay=0, kl_factor=0.5, clamp_norm_factor=1000)


def stream_intervention(tiny: Any, edits: Sequence[Edit]) -> tuple[EditPrompts, Intervention, Tensor]:
    prompts = build_prompts(tiny.tokenizer, edits, CONTEXTS)
    above = subject_states(tiny.model, map_model(tiny.model), prompts, LAYER).above
    h0 = above.hidden[prompts.bare, prompts.subject_at[prompts.bare]]
    return prompts, StreamIntervention(above, prompts.subject_at), h0[:, None]


def block_intervention(tiny: Any, edits: Sequence[Edit]) -> tuple[EditPrompts, Intervention, Tensor]:
    prompts = build_prompts(tiny.tokenizer, edits, CONTEXTS)
    v0, block = sublayer_outputs(tiny.model, map_model(tiny.model), prompts, LAYER)
    return prompts, BlockIntervention(block, prompts.subject_at, SUBLAYERS), v0


INTERVENTIONS: dict[str, Callable[..., tuple[EditPrompts, Intervention, Tensor]]] = {
    "stream": stream_intervention,
    "block": block_intervention,
}


def search(
    tiny: Any,
    edits: Sequence[Edit],
    settings: ValueSettings,
    where: str,
    sure_targets: SureTargets | None = None,
) -> list[Value]:
    with frozen(tiny.model):
        prompts, intervention, v0 = INTERVENTIONS[where](tiny, edits)
        return optimise_values(prompts, intervention, v0, settings, sure_targets)


def first(output: Any) -> Tensor:
    return output[0] if isinstance(output, tuple) else output


def plain_search(
    tiny: Any, edit: Edit, settings: ValueSettings, where: str, sure_targets: SureTargets | None = None
) -> tuple[Tensor, list[float]]:
    model, tokenizer, found = tiny.model, tiny.tokenizer, map_model(tiny.model)
    modules = (
        [found.blocks[LAYER]]
        if where == "stream"
        else [found.module(LAYER, "attn_out"), found.module(LAYER, "mlp_out")]
    )
    target = tokenizer(" " + edit.target)["input_ids"]
    prefixes = [context + edit.filled for context in CONTEXTS]
    subject_at = [
        len(tokenizer(prefix[: prefix.index(edit.subject) + len(edit.subject)])["input_ids"]) - 1
        for prefix in prefixes
    ]
    rows = [tokenizer(prefix)["input_ids"] + target for prefix in prefixes]
    alone = tokenizer(edit.subject)["input_ids"]

    def log_probs(ids: list[int], at: int, deltas: Sequence[Tensor]) -> Tensor:
        def intervention(delta: Tensor) -> Any:
            def hook(_module: nn.Module, _args: object, output: Any) -> Any:
                pushed = first(output).clone()
                pushed[0, at] = pushed[0, at] + delta
                return (pushed, *output[1:]) if isinstance(output, tuple) else pushed

            return hook

        with ExitStack() as stack:
            for module, delta in zip(modules, deltas, strict=True):
                stack.callback(module.register_forward_hook(intervention(delta)).remove)
            result: Tensor = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(dim=-1)
            return result

    seen: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _m, _a, out: seen.append(first(out)[0, subject_at[0]]))
        for module in modules
    ]
    with torch.no_grad():
        model(input_ids=torch.tensor([rows[0]]))
    for hook in hooks:
        hook.remove()
    deltas = [torch.zeros_like(v0, requires_grad=True) for v0 in seen]
    with torch.no_grad():
        before = log_probs(alone, len(alone) - 1, deltas)[-1]
    optimiser = torch.optim.Adam(deltas, lr=settings.v_lr)
    losses, factor, in_a_row = [], 1.0, 0
    for step in range(settings.v_num_grad_steps):
        nll, sure = torch.zeros(()), True
        for row, (ids, at) in enumerate(zip(rows, subject_at, strict=True)):
            answers = log_probs(ids[:-1], at, deltas)[-len(target) :]
            nll = nll - answers[range(len(target)), target].mean() / len(rows)
            if row > 0 or settings.early_stop == "strict":
                sure = sure and answers.argmax(dim=-1).tolist() == target
        now = log_probs(alone, len(alone) - 1, deltas)[-1]
        kl = settings.kl_factor * (now.exp() * (now - before)).sum()
        decay = sum(delta.norm() / v0.norm() ** 2 for delta, v0 in zip(deltas, seen, strict=True))
        loss = factor * nll + kl + settings.v_weight_decay * decay
        losses.append(loss.item())
        in_a_row = in_a_row + 1 if sure else in_a_row * (settings.early_stop == "original")
        if loss < settings.v_stop_loss or in_a_row == settings.prob_cutoff:
            break
        if sure_targets is not None:
            if sure and kl <= sure_targets.kl:
                break
            factor = sure_targets.nll_factor if sure else 1.0
        if step == settings.v_num_grad_steps - 1:
            break
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            for delta, v0 in zip(deltas, seen, strict=True):
                delta *= min(1.0, (settings.clamp_norm_factor * v0.norm() / delta.norm()).item())
    return torch.stack([delta.detach() for delta in deltas]), losses


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("where", INTERVENTIONS)
def test_it_is_the_search_through_the_whole_model(tiny: Any, edit: Edit, where: str, kind: str) -> None:
    (value,) = search(tiny, [edit], SETTINGS[kind], where)
    delta, losses = plain_search(tiny, edit, SETTINGS[kind], where)
    assert value.losses == pytest.approx(losses, abs=1e-5)
    torch.testing.assert_close(value.delta, delta, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("where", INTERVENTIONS)
def test_edits_searched_side_by_side_end_each_where_it_would_alone(
    tiny: Any, edits: tuple[Edit, ...], near: Edit, where: str
) -> None:
    settings = EASY.model_copy(update={"v_num_grad_steps": 12, "v_stop_loss": 0, "v_lr": 0.2})
    three = (*edits, near)
    reached = search(tiny, [near], settings, where)[0].losses[5]
    settings = settings.model_copy(update={"v_stop_loss": reached + 1e-3})
    together = search(tiny, three, settings, where)
    alone = [search(tiny, [edit], settings, where)[0] for edit in three]
    assert len({len(value.losses) for value in alone}) > 1
    for one, other in zip(together, alone, strict=True):
        assert one.losses == pytest.approx(other.losses, abs=1e-5)
        torch.testing.assert_close(one.delta, other.delta, rtol=1e-5, atol=1e-5)


def test_it_stops_after_as_many_steps_in_a_row_as_asked_at_which_the_target_is_most_probable(
    tiny: Any, near: Edit
) -> None:
    def steps(cutoff: int | None) -> int:
        settings = EASY.model_copy(update={"prob_cutoff": cutoff, "v_stop_loss": 0, "kl_factor": 0})
        (value,) = search(tiny, [near], settings, "stream")
        assert value.losses == pytest.approx(plain_search(tiny, near, settings, "stream")[1], abs=1e-4)
        return len(value.losses)

    assert 1 < steps(1) < steps(1) + 3 == steps(4) < steps(None) == 40


def test_a_step_at_which_the_target_is_not_most_probable_begins_the_count_anew(
    build: Callable[[str], Any], near: Edit
) -> None:
    tiny = build("gptj")

    def steps(cutoff: int) -> int:
        # So eager a search, held back by so much KL, reaches the target, loses it and finds it again.
        rash = {"prob_cutoff": cutoff, "v_stop_loss": 0, "kl_factor": 3.0, "v_lr": 1.0}
        settings = EASY.model_copy(update=rash)
        (value,) = search(tiny, [near], settings, "stream")
        assert len(value.losses) == len(plain_search(tiny, near, settings, "stream")[1])
        return len(value.losses)

    assert steps(2) == steps(1) + 1
    assert steps(1) + 2 < steps(3) < EASY.v_num_grad_steps


def test_encores_authors_count_steps_that_are_not_in_a_row_and_leave_the_bare_prompt_out(
    build: Callable[[str], Any], near: Edit
) -> None:
    tiny = build("gptj")

    def steps(cutoff: int, early_stop: str, **changes: float) -> int:
        rash = {"prob_cutoff": cutoff, "v_stop_loss": 0, "kl_factor": 3.0, "v_lr": 1.0, **changes}
        settings = EASY.model_copy(update={**rash, "early_stop": early_stop})
        (value,) = search(tiny, [near], settings, "stream")
        assert len(value.losses) == len(plain_search(tiny, near, settings, "stream")[1])
        return len(value.losses)

    assert steps(3, "original") < steps(3, "strict")  # the target is lost and found again
    slow = {"kl_factor": 0.0, "v_lr": 0.2}
    ends = [steps(1, early_stop, **slow) for early_stop in ("original", "strict")]
    assert ends[0] < ends[1] < EASY.v_num_grad_steps  # the bare prompt gives it last


def test_once_the_target_is_most_probable_the_likelihood_counts_a_tenth(tiny: Any, near: Edit) -> None:
    settings = EASY.model_copy(update={"v_stop_loss": 0, "v_num_grad_steps": 25, "v_lr": 0.3})
    (eased,) = search(tiny, [near], settings, "block", SURE)
    (plain,) = search(tiny, [near], settings, "block")
    _, losses = plain_search(tiny, near, settings, "block", SURE)
    assert eased.losses == pytest.approx(losses, abs=1e-4)
    assert eased.losses != pytest.approx(plain.losses[: len(eased.losses)], abs=1e-2)


def test_it_ends_once_the_target_is_most_probable_and_the_rest_hardly_moved(gpt2: Any, near: Edit) -> None:
    settings = EASY.model_copy(update={"v_stop_loss": 0, "kl_factor": 1e-6})
    (eased,) = search(gpt2, [near], settings, "block", SURE)
    (sure,) = search(gpt2, [near], settings.model_copy(update={"prob_cutoff": 1}), "block")
    assert len(eased.losses) == len(sure.losses) < settings.v_num_grad_steps


def test_what_attention_writes_is_read_by_the_mlp_of_a_block_unless_they_stand_side_by_side(
    build: Callable[[str], Any], edit: Edit
) -> None:
    def moves(architecture: str) -> bool:
        tiny = build(architecture)
        found = map_model(tiny.model)
        prompts, intervention, v0 = block_intervention(tiny, [edit])
        deltas = torch.zeros(len(prompts.subject_at), *v0.shape[1:])
        keys: list[Tensor] = []
        hook = found.module(LAYER, "mlp_out").register_forward_pre_hook(
            lambda _module, args: keys.append(args[0][0, prompts.subject_at[0]])
        )
        intervention.logits(deltas, prompts.rows, prompts.positions)
        deltas[:, SUBLAYERS.index("attn_out")] = 1.0
        deltas[:, SUBLAYERS.index("attn_out"), 0] = -3.0
        intervention.logits(deltas, prompts.rows, prompts.positions)
        hook.remove()
        return not torch.equal(keys[0], keys[1])

    assert moves("gpt2")
    assert moves("llama")
    assert not moves("gptj")


def test_a_forward_pass_goes_on_with_some_of_its_rows(tiny: Any, edits: tuple[Edit, ...]) -> None:
    prompts = build_prompts(tiny.tokenizer, edits, CONTEXTS)
    kept = suspend(tiny.model, map_model(tiny.model), prompts.input_ids, prompts.attention_mask, LAYER)
    rows = torch.tensor([5, 0, 3])
    with torch.no_grad():
        torch.testing.assert_close(
            kept.only(rows).run(kept.hidden[rows]), kept.run(kept.hidden)[rows], rtol=1e-5, atol=1e-6
        )


def test_the_prompts_of_some_edits_are_those_built_for_them_alone(
    gpt2: Any, edits: tuple[Edit, ...], near: Edit
) -> None:
    three = build_prompts(gpt2.tokenizer, (*edits, near), CONTEXTS)
    some = three.only(torch.tensor([1, 2]))
    alone = build_prompts(gpt2.tokenizer, (edits[1], near), CONTEXTS)
    assert (three.edits, some.edits) == (3, 2)
    for name in ("subject_at", "rows", "positions", "targets", "owner", "bare", "alone"):
        assert torch.equal(getattr(some, name), getattr(alone, name))
    width = alone.input_ids.shape[1]
    assert torch.equal(some.input_ids[:, :width], alone.input_ids)
    assert some.attention_mask.sum() == alone.attention_mask.sum()
