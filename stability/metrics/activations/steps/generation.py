"""Greedy continuations of prompts that are cut from the text, and how varied they are."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stability.errors import DataError, MeasurementError
from stability.metrics.scoring import check_shape, returned_logits
from stability.metrics.scoring.positions import evenly
from stability.models.modes import evaluating
from stability.models.plain import generates_plainly, is_plain

PROMPTS = 16
PROMPT_TOKENS = 8
WORD = re.compile(r"\w+|[^\w\s]")


def cut_prompts(windows: Sequence[Tensor]) -> Tensor:
    """The first tokens of windows spread evenly over the text, all of one length: [prompts, tokens].

    Raises:
        DataError: there is no token at all.
    """
    tokens = min(PROMPT_TOKENS, max((len(window) for window in windows), default=0))
    if tokens == 0:
        raise DataError("fluency: the text holds no token to begin from")
    long_enough = [window for window in windows if len(window) >= tokens]
    chosen = evenly(len(long_enough), PROMPTS).tolist()
    return torch.stack([long_enough[number][:tokens] for number in chosen])


def continued(model: nn.Module, prompts: Tensor, tokens: int) -> list[list[int]]:
    """The greedy continuation of each prompt, [prompts, tokens], as users get it: by the model's `generate`.

    A library's gives what `continue_greedily` does. One of the editor's own is called a prompt at a time; it
    may stop early.

    Raises:
        MeasurementError: it returns no ids.
    """
    if generates_plainly(model):
        return continue_greedily(model, prompts, tokens).tolist()
    return [_written(model, prompt[None], tokens) for prompt in prompts]


def _written(model: Any, prompt: Tensor, tokens: int) -> list[int]:
    with evaluating(model):
        made = model.generate(
            input_ids=prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=-1,  # to go on past any end of text, as elsewhere
        )
    ids = getattr(made, "sequences", made)
    if not isinstance(ids, Tensor) or ids.ndim != 2 or len(ids) != 1:
        raise MeasurementError(
            f"{type(model).__name__}.generate() returns a {type(made).__name__} that is not one row of ids",
            kind="structure_changed",
        )
    row: list[int] = ids[0].tolist()
    given = prompt[0].tolist()
    return row[len(given) :] if row[: len(given)] == given else row


def continue_greedily(model: nn.Module, prompts: Tensor, tokens: int) -> Tensor:
    """The most probable next token, again and again, past any end-of-text: [prompts, tokens].

    Of a model that an editor has wrapped, hooked or patched each prompt is continued by itself, and each
    token is that of the whole text before it: a cache, or other prompts, may be more than it expects.
    """
    if not is_plain(model):
        return torch.cat([_continue_alone(model, prompt[None], tokens) for prompt in prompts])
    made: list[Tensor] = []
    cache: Any = None
    ids, seen = prompts, torch.ones_like(prompts)
    with evaluating(model):
        for _ in range(tokens):
            output = model(input_ids=ids, attention_mask=seen, past_key_values=cache, use_cache=True)
            check_shape(model, output.logits, ids.shape)
            cache = output.past_key_values
            ids = output.logits[:, -1:].argmax(-1)  # [prompts, 1]
            seen = torch.cat([seen, torch.ones_like(ids)], 1)
            made.append(ids)
    return torch.cat(made, 1)


def _continue_alone(model: nn.Module, prompt: Tensor, tokens: int) -> Tensor:
    """The same for one prompt, [1, tokens], without a cache."""
    ids = prompt
    with evaluating(model):
        for _ in range(tokens):
            best = returned_logits(model, ids, torch.ones_like(ids))[:, -1:].argmax(-1)
            ids = torch.cat([ids, best.to(ids.device)], 1)
    return ids[:, prompt.shape[1] :]


def ngram_entropy(text: str) -> float:
    """(2/3 · H2 + 4/3 · H3) / 2 in bits, Hn the entropy of the text's word n-grams; 0 if there is none."""
    words = WORD.findall(text)
    return (2 / 3 * _entropy(words, 2) + 4 / 3 * _entropy(words, 3)) / 2


def _entropy(words: Sequence[str], n: int) -> float:
    counts = Counter(zip(*(words[start:] for start in range(n)), strict=False))
    total = counts.total()
    return math.fsum(count / total * math.log2(total / count) for count in counts.values())
