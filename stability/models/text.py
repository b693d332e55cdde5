"""Text as token ids, document by document: what activations, perplexity and covariances are measured on."""

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
    """Documents as int64 ids, each [tokens of the document]; the fingerprint is SHA-256 over the ids."""

    documents: tuple[Tensor, ...] = field(repr=False)
    fingerprint: str

    @property
    def tokens(self) -> int:
        """The number of tokens in all documents."""
        return sum(len(document) for document in self.documents)


def context_length(model: nn.Module) -> int:
    """The most tokens that the model takes at once; 1,024 where its configuration does not say."""
    return stated_context_length(model) or UNSTATED_LENGTH


def stated_context_length(model: nn.Module) -> int | None:
    """The most tokens that the model takes at once, by its configuration; None where that does not say."""
    config = getattr(language_model(model) or model, "config", None)
    return int(getattr(config, "max_position_embeddings", None) or 0) or None


def tokenize_text(
    tokenizer: Tokenizer, documents: Sequence[str], tokens: int, max_length: int, *, windows: bool = False
) -> TokenizedText:
    """The first `tokens` tokens of the documents, each cut to `max_length`, the last to what is still needed.

    With `windows`, what is longer than `max_length` goes on as a further document instead of being cut. A
    document of a single token is left out: it has no next token to predict.

    Raises:
        DataError: the documents are too short for that many tokens.
    """
    taken: list[Tensor] = []
    missing = tokens
    for document in documents:
        if missing < 2:
            break
        longest = missing if windows else min(max_length, missing)
        ids = tokenizer(document, truncation=True, max_length=longest)["input_ids"]
        pieces = [ids[start : start + max_length] for start in range(0, len(ids), max_length)]
        pieces = [piece for piece in pieces if len(piece) >= 2]
        taken += [torch.tensor(piece, dtype=torch.int64) for piece in pieces]
        missing -= sum(len(piece) for piece in pieces)
    if missing > 1 or not taken:
        raise DataError(
            f"the text gives {tokens - missing} tokens in {len(documents)} documents of at most {max_length} "
            f"each, {tokens} were asked for; give more text or ask for fewer tokens"
        )
    return TokenizedText(tuple(taken), _fingerprint(taken))


def _fingerprint(documents: Sequence[Tensor]) -> str:
    digest = hashlib.sha256()
    for document in documents:
        digest.update(len(document).to_bytes(8, "little"))
        digest.update(document.numpy().astype("<i8").tobytes())
    return digest.hexdigest()
