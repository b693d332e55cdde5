"""Text as token ids, cut into windows: what activations, perplexity and covariances are measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stability.errors import DataError
from stability.models.tokens import Tokenizer
from stability.models.unwrap import language_model

UNSTATED_LENGTH = 1024


@dataclass(frozen=True)
class TokenizedText:
    """Windows of documents as int64 ids, each [tokens of the window]; with a SHA-256 over them."""

    windows: tuple[Tensor, ...] = field(repr=False)
    fingerprint: str
    document: tuple[int, ...] = field(repr=False)  # of each window, counted from 0

    @property
    def documents(self) -> tuple[Tensor, ...]:
        """The documents, the windows of each end to end."""
        parts: dict[int, list[Tensor]] = {}
        for window, document in zip(self.windows, self.document, strict=True):
            parts.setdefault(document, []).append(window)
        return tuple(torch.cat(parts[document]) for document in sorted(parts))

    @property
    def tokens(self) -> int:
        """The number of tokens in all windows."""
        return sum(len(window) for window in self.windows)


def context_length(model: nn.Module) -> int:
    """The most tokens that the model takes at once; 1,024 where its configuration does not say."""
    return stated_context_length(model) or UNSTATED_LENGTH


def stated_context_length(model: nn.Module) -> int | None:
    """The most tokens that the model takes at once, by its configuration; None where that does not say."""
    config = getattr(language_model(model) or model, "config", None)
    return int(getattr(config, "max_position_embeddings", None) or 0) or None


def tokenize_text(
    tokenizer: Tokenizer, documents: Sequence[str], tokens: int, max_length: int, *, opened: bool = False
) -> TokenizedText:
    """The first `tokens` tokens of the documents, each document cut into windows of `max_length` tokens.

    Where the tokenizer puts a token before a text (a BOS), a document's first window begins with it; with
    `opened` every window does, as a model was trained to read. It counts as one of the tokens. A window of a
    single token is left out: it has no next token to predict.

    Raises:
        DataError: the documents are too short for that many tokens.
    """
    taken: list[list[Tensor]] = []
    missing = tokens
    for document in documents:
        if missing < 2:
            break
        kept = []
        for window in _windows(tokenizer, document, missing, max_length, opened):
            ids = window[:missing]
            if len(ids) >= 2:
                kept.append(torch.tensor(ids, dtype=torch.int64))
                missing -= len(ids)
        if kept:
            taken.append(kept)
    if missing > 1 or not taken:
        raise DataError(
            f"the text gives {tokens - missing} tokens in {len(documents)} documents, {tokens} were asked "
            "for; give more text or ask for fewer tokens"
        )
    windows = [window for document in taken for window in document]
    of = tuple(number for number, document in enumerate(taken) for _ in document)
    return TokenizedText(tuple(windows), _fingerprint(windows), of)


def _windows(tokenizer: Tokenizer, document: str, tokens: int, length: int, opened: bool) -> list[list[int]]:
    """The windows of the document's first `tokens` ids, each of `length` but the last.

    Raises:
        DataError: a window has no room for more than the tokenizer puts before a text.
    """
    encoded = tokenizer(document, truncation=True, max_length=tokens, return_special_tokens_mask=True)
    ids, added = list(encoded["input_ids"]), list(encoded["special_tokens_mask"])
    opening = (ids[: added.index(0)] if 0 in added else ids) if opened else []
    step = length - len(opening)
    if step < 1:
        raise DataError(
            f"a window of {length} tokens is too short: the tokenizer puts {len(opening)} before a text; "
            f"{len(opening) + 1} are needed"
        )
    return [opening + ids[start : start + step] for start in range(len(opening), len(ids), step)]


def _fingerprint(windows: Sequence[Tensor]) -> str:
    digest = hashlib.sha256()
    for window in windows:
        digest.update(len(window).to_bytes(8, "little"))
        digest.update(window.numpy().astype("<i8").tobytes())
    return digest.hexdigest()
