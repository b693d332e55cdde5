from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from stability.data.edits import Edit
from stability.editors.locate.steps.contexts import sample_contexts
from stability.editors.locate.steps.keys import subject_states
from stability.editors.locate.steps.prompts import build_prompts
from stability.errors import DataError
from stability.models import map_model

CONTEXTS = ("", "the dog is lazy . ", "Anna Berg is quick . ")


def test_each_row_is_a_context_the_prompt_and_the_target_but_its_last_token(gpt2: Any, edit: Edit) -> None:
    prompts = build_prompts(gpt2.tokenizer, edit, CONTEXTS)
    for row, context in enumerate(CONTEXTS):
        ids = gpt2.tokenizer(f"{context}Anna Berg plays the oboe")["input_ids"]
        real = prompts.input_ids[row][prompts.attention_mask[row].bool()].tolist()
        assert real == ids[:-1]
        mine = prompts.rows == row
        assert prompts.targets[mine].tolist() == ids[prompts.positions[mine][0] + 1 :]
        assert gpt2.tokenizer.decode(prompts.targets[mine]) == " oboe"


def test_the_subject_is_found_behind_each_context_even_if_the_context_names_it(gpt2: Any, edit: Edit) -> None:
    prompts = build_prompts(gpt2.tokenizer, edit, CONTEXTS)
    for row, context in enumerate((*CONTEXTS, "")):
        until = gpt2.tokenizer(f"{context}Anna Berg")["input_ids"]
        assert prompts.subject_at[row] == len(until) - 1
        assert prompts.input_ids[row, : len(until)].tolist() == until


def test_rows_hold_the_text_as_it_is_written(gpt2: Any) -> None:
    chinese = Edit("c", "{}", "中国", "纽约", "北京")
    for edit, text in (
        (Edit("q", "Where is {}?\n", "Rome", "Paris"), "Where is Rome?\nParis"),
        (chinese, "中国纽约"),
        (replace(chinese, space=True), "中国 纽约"),
    ):
        prompts = build_prompts(gpt2.tokenizer, edit, ("",))
        ids = gpt2.tokenizer(text)["input_ids"]
        assert prompts.input_ids[0][prompts.attention_mask[0].bool()].tolist() == ids[:-1]
        assert gpt2.tokenizer.decode(prompts.targets).strip() == edit.target
        assert (
            prompts.subject_at[0] < prompts.positions[0] + 1
        )  # the target is predicted at or after the subject


def test_the_last_row_is_the_subject_alone(gpt2: Any, edit: Edit) -> None:
    prompts = build_prompts(gpt2.tokenizer, edit, CONTEXTS)
    assert prompts.contexts == len(CONTEXTS)
    real = prompts.input_ids[-1][prompts.attention_mask[-1].bool()]
    assert gpt2.tokenizer.decode(real) == "Anna Berg"


def test_the_states_at_the_subject_are_those_of_each_row_alone(tiny: Any, edit: Edit) -> None:
    found = map_model(tiny.model)
    states = subject_states(tiny.model, found, build_prompts(tiny.tokenizer, edit, CONTEXTS), 2)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    hook = found.module(2, "mlp_out").register_forward_hook(
        lambda _module, args, output: seen.append((args[0][0, -1], output[0, -1]))
    )
    for context in (*CONTEXTS, ""):
        tiny.model(input_ids=torch.tensor([tiny.tokenizer(f"{context}Anna Berg")["input_ids"]]))
    hook.remove()
    for row, (key, value) in enumerate(seen):
        torch.testing.assert_close(states.keys[row], key, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(states.values[row], value, rtol=1e-4, atol=1e-6)


def test_contexts_are_written_by_the_model_and_the_first_is_empty(tiny: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    contexts = sample_contexts(tiny.model, tiny.tokenizer, [(3, 4), (6, 2)], generator)
    assert len(contexts) == 7
    assert contexts[0] == ""
    assert all(context.endswith(". ") for context in contexts[1:])
    assert not any("{" in context or "}" in context for context in contexts)


def test_one_seed_gives_one_set_of_contexts_whatever_the_global_generator_does(tiny: Any) -> None:
    def sample(seed: int) -> tuple[str, ...]:
        before = torch.get_rng_state()
        generator = torch.Generator().manual_seed(seed)
        contexts = sample_contexts(tiny.model, tiny.tokenizer, [(5, 5)], generator)
        assert torch.equal(torch.get_rng_state(), before)
        return contexts

    first = sample(0)
    with torch.random.fork_rng():
        torch.manual_seed(99)
        assert sample(0) == first
    assert sample(1) != first


def test_every_drawn_token_is_among_the_five_most_probable(gpt2: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    contexts = sample_contexts(gpt2.model, gpt2.tokenizer, [(1, 200)], generator)
    best = gpt2.model(input_ids=torch.tensor([[0]])).logits[0, -1].topk(5).indices
    allowed = {f"{gpt2.tokenizer.decode([index]).strip()}" for index in best.tolist()}
    assert {context.removesuffix(" ").removesuffix(".") for context in contexts[1:]} <= allowed


def test_a_prompt_that_is_too_long_behind_a_context_is_named_and_alone_it_is_taken(
    gpt2: Any, edit: Edit
) -> None:
    limit = len(gpt2.tokenizer(f"{edit.filled} {edit.target}")["input_ids"])
    assert build_prompts(gpt2.tokenizer, edit, ("",), limit=limit).edits == 1
    message = (
        rf"edit {edit.id}: its prompt and target have \d+ tokens behind a context of \d+, .* takes {limit}"
    )
    with pytest.raises(DataError, match=message):
        build_prompts(gpt2.tokenizer, edit, CONTEXTS, limit=limit)
