"""Prompts, subjects and targets as tokens, found by character offsets and not by the tokenizer's name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from stability.errors import DataError, ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Tokenizer: TypeAlias = "PreTrainedTokenizerBase"
Asked: TypeAlias = tuple[str, str] | tuple[str, str, bool | None]
"""A prompt, a target, and whether a space stands between them, as `encode` takes it."""

WITHOUT_SPACES = re.compile(  # how Unicode's names of letters, digits and marks of such scripts begin
    "(BALINESE|BOPOMOFO|CJK|FULLWIDTH|HALFWIDTH KATAKANA|HANGZHOU|HIRAGANA|IDEOGRAPHIC|JAVANESE|KATAKANA"
    "|KHMER|LAO|MYANMAR|NEW TAI LUE|TAI LE|TAI THAM|TAI VIET|THAI|TIBETAN|VERTICAL|YI)[ -]"
)
TAG_AT_END, TAG_AT_START = re.compile(r"<[^<>\s]+>$"), re.compile(r"<[^<>\s]+>")  # as of chat templates


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


def space_between(prompt: str, target: str, space: bool | None = None) -> str:
    """What stands between a prompt, which keeps its own white space, and a target: one space, or nothing.

    Nothing after white space, and at the beginning of the text. Else `space` decides; where it is None, there
    is one if the target is written with one before it, or if the prompt ends and the target begins in a
    script that writes spaces between words. Punctuation and symbols have no script: the next letter or digit
    decides, but for full-width punctuation and tags (`<|assistant|>`), which have no spaces about them.
    """
    if not prompt or prompt[-1].isspace():
        return ""
    if space is None:
        space = target[:1].isspace() or (
            not TAG_AT_END.search(prompt)
            and not TAG_AT_START.match(target)
            and _writes_spaces(reversed(prompt))
            and _writes_spaces(target)
        )
    return " " if space else ""


def _writes_spaces(characters: Iterable[str]) -> bool:
    """Whether the first of these characters that has a script is of one with spaces; True if none has."""
    for character in characters:
        kind = unicodedata.category(character)
        if kind[0] in "LMN":
            return WITHOUT_SPACES.match(unicodedata.name(character, "")) is None
        if kind[0] == "P" and unicodedata.east_asian_width(character) in "WF":
            return False
    return True


def statement(prompt: str, target: str, space: bool | None = None) -> str:
    """The text that is measured: the prompt as it is, what stands between, the target without white space."""
    return prompt + space_between(prompt, target, space) + target.strip()


def encode(tokenizer: Tokenizer, prompt: str, target: str, space: bool | None = None) -> EncodedTarget:
    """A statement, tokenised as a whole, because tokens may reach over the border of prompt and target.

    The target's first token is the first that ends behind the prompt.

    Raises:
        DataError: the target has no token, or nothing stands before it to predict it from.
        ModelError: the tokenizer knows no offsets.
    """
    tokens, target = tokenize(tokenizer, statement(prompt, target, space)), target.strip()
    start = next((i for i, (_, end) in enumerate(tokens.offsets) if end > len(prompt)), None)
    if start is None or not target:
        raise DataError(f"the target {target!r} has no token after {prompt!r}")
    if start == 0 and prompt.strip():
        raise DataError(
            f"the tokenizer makes one token of the prompt {prompt!r} and the beginning of {target!r}; "
            "write them with a space between (space: true)"
        )
    if start == 0:
        raise DataError(f"nothing stands before the target {target!r} to predict it from; give it a prompt")
    return EncodedTarget(tokens.input_ids, start)


def subject_last_index(tokenizer: Tokenizer, prompt_template: str, subject: str, following: str = "") -> int:
    """The token index of the subject's last token in the prompt that `subject` fills, at the place of `{}`.

    `following` is what stands behind the prompt in the same row: a token may reach over the border.

    Raises:
        DataError: the template has not exactly one `{}`, or the subject no token of its own.
        ModelError: the tokenizer knows no offsets.
    """
    if prompt_template.count("{}") != 1:
        raise DataError(f"a prompt must hold exactly one '{{}}' for the subject, got {prompt_template!r}")
    start = prompt_template.index("{}")
    filled = prompt_template.replace("{}", subject)
    index = tokenize(tokenizer, filled + following).last_in(start, start + len(subject.rstrip()))
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
