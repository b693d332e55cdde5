"""What a model of the world knows: recall of facts, and where in the network it passes through."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import torch
from torch import Tensor
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from stability.world.facts import Fact, World

BATCH = 256


@torch.no_grad()
def next_ids(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str]) -> Tensor:
    """The most probable next token after each prompt: [prompts]."""
    found = []
    for start in range(0, len(prompts), BATCH):
        batch = tokenizer(
            list(prompts[start : start + BATCH]), padding=True, padding_side="right", return_tensors="pt"
        )
        last = batch["attention_mask"].sum(dim=1) - 1  # [batch]
        logits = model(**batch).logits  # [batch, tokens, vocabulary]
        found.append(logits[torch.arange(len(last)), last].argmax(dim=-1))
    return torch.cat(found)


def object_ids(tokenizer: PreTrainedTokenizerFast, facts: Sequence[Fact]) -> Tensor:
    """The token of each fact's object: [facts]."""
    return torch.tensor(tokenizer.convert_tokens_to_ids([fact.object for fact in facts]))


def recall(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, stated: Sequence[tuple[Fact, str]]
) -> float:
    """The share of (fact, template) whose object the model puts first."""
    found = next_ids(model, tokenizer, [fact.prompt(template) for fact, template in stated])
    return (found == object_ids(tokenizer, [fact for fact, _ in stated])).float().mean().item()


def patched_recall(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, world: World, layer: int, count: int = 600
) -> float:
    """How often the answer follows a donor whose state was put in the subject's place after block `layer`.

    Both prompts use the same template; the objects differ. What is put there is the residual stream at the
    last token of the subject. Near one: what the model knows of a person passes through this place, and an
    edit of the blocks up to `layer` can change it. Near zero: the name is read around it.
    """
    rng = Random("patch")
    pairs: list[tuple[Fact, Fact, str]] = []
    while len(pairs) < count:
        receiver = rng.choice(world.facts)
        donor = world.fact(rng.choice(world.subjects), receiver.relation.name)
        if donor.object != receiver.object:
            pairs.append((receiver, donor, rng.choice(receiver.templates)))
    block = model.transformer.h[layer]
    at = torch.tensor([_last_token(tokenizer, template) for _, _, template in pairs])  # [pairs]
    states: list[Tensor] = []

    def keep(_module: Any, _args: Any, hidden: Tensor) -> None:
        start = sum(len(state) for state in states)
        states.append(hidden[torch.arange(len(hidden)), at[start : start + len(hidden)]])

    with _hooked(block, keep):
        next_ids(model, tokenizer, [donor.prompt(template) for _, donor, template in pairs])
    donors = torch.cat(states)  # [pairs, width]
    done = 0

    def put(_module: Any, _args: Any, hidden: Tensor) -> Tensor:
        nonlocal done
        rows = slice(done, done + len(hidden))
        patched = hidden.clone()
        patched[torch.arange(len(hidden)), at[rows]] = donors[rows]
        done += len(hidden)
        return patched

    with _hooked(block, put):
        found = next_ids(model, tokenizer, [receiver.prompt(template) for receiver, _, template in pairs])
    return (found == object_ids(tokenizer, [donor for _, donor, _ in pairs])).float().mean().item()


@contextmanager
def _hooked(block: torch.nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _last_token(tokenizer: PreTrainedTokenizerFast, template: str) -> int:
    """The position of the last token of a subject (two words) in a template."""
    before = template.split("{}")[0]
    return len(tokenizer(before)["input_ids"]) + 1
