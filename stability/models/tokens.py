"""Prompts, subjects and targets as tokens, found by character offsets and not by the tokenizer's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from stability.errors import DataError, ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tokenizer: TypeAlias = "PreTrainedTokenizerBase"


@dataclass(frozen=True)
class EncodedTarget:
    """A prompt and its target as one row of ids; the target's are `input_ids[target_start:]`."""

    input_ids: list[int]
    target_start: int

    @property
    def target_ids(self) -> list[int]:
        """The target's ids alone."""
        return self.input_ids[self.target_start :]


@dataclass(frozen=True)
class Tokens:
    """A text's ids, and for each its (start, end) in characters; special tokens span nothing."""

    input_ids: list[int]
    offsets: list[tuple[int, int]]

    def last_in(self, start: int, end: int) -> int | None:
        """The last token that shares a character with text[start:end]; None if there is none."""
        inside = [i for i, (first, last) in enumerate(self.offsets) if max(first, start) < min(last, end)]
        return inside[-1] if inside else None


def tokenize(tokenizer: Tokenizer, text: str) -> Tokens:
    """Ids with their offsets; special tokens that the tokenizer adds by default stay, but none at the end.

    Raises:
        ModelError: the tokenizer knows no offsets.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"{type(tokenizer).__name__} gives no character offsets, by which targets are found; "
            "use a fast tokenizer"
        )
    encoded = tokenizer(text, return_offsets_mapping=True, return_special_tokens_mask=True)
    ids, offsets = list(encoded["input_ids"]), [tuple(pair) for pair in encoded["offset_mapping"]]
    added = encoded["special_tokens_mask"]  # not set for special tokens that are written out in the text
    while ids and added[len(ids) - 1]:
        ids.pop()
        offsets.pop()
    return Tokens(ids, offsets)


def encode(tokenizer: Tokenizer, prompt: str, target: str) -> EncodedTarget:
    """Prompt, one space, target; tokenised as a whole, because tokens may reach over the border.

    The target's first token is the first that ends behind the prompt.

    Raises:
        DataError: the target has no token, or nothing stands before it to predict it from.
        ModelError: the tokenizer knows no offsets.
    """
    prompt, target = prompt.rstrip(), target.strip()
    tokens = tokenize(tokenizer, f"{prompt} {target}")
    start = next((i for i, (_, end) in enumerate(tokens.offsets) if end > len(prompt)), None)
    if start is None or not target:
        raise DataError(f"the target {target!r} has no token after {prompt!r}")
    if start == 0:
        raise DataError(f"nothing stands before the target {target!r} to predict it from; give it a prompt")
    return EncodedTarget(tokens.input_ids, start)


def subject_last_index(tokenizer: Tokenizer, prompt_template: str, subject: str) -> int:
    """The token index of the subject's last token in the prompt that `subject` fills, at the place of `{}`.

    Raises:
        DataError: the template has not exactly one `{}`, or the subject no token of its own.
        ModelError: the tokenizer knows no offsets.
    """
    if prompt_template.count("{}") != 1:
        raise DataError(f"a prompt must hold exactly one '{{}}' for the subject, got {prompt_template!r}")
    start = prompt_template.index("{}")
    filled = prompt_template.replace("{}", subject)
    index = tokenize(tokenizer, filled).last_in(start, start + len(subject.rstrip()))
    if index is None:
        raise DataError(f"the subject {subject!r} has no token in {filled!r}")
    return index


def pad_id(tokenizer: Tokenizer) -> int:
    """The id that fills up rows, always masked: the tokenizer's padding, else its end of text, else 0."""
    for found in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if isinstance(found, int):
            return found
    return 0


def pad_right(sequences: Sequence[Sequence[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    """Rows of one length, filled up on the right: input_ids and attention_mask, int64 [n, longest]."""
    longest = max((len(sequence) for sequence in sequences), default=0)
    input_ids = torch.full((len(sequences), longest), pad_id, dtype=torch.int64)
    attention_mask = torch.zeros_like(input_ids)
    for row, sequence in enumerate(sequences):
        input_ids[row, : len(sequence)] = torch.tensor(list(sequence), dtype=torch.int64)
        attention_mask[row, : len(sequence)] = 1
    return input_ids, attention_mask
