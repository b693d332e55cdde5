from __future__ import annotations

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from stability.errors import DataError
from stability.models import tokenize_text

DOCUMENTS = [
    "Anna Berg plays the cello in Rome.",
    "Paris",
    "",
    "Steve Jobs founded Apple; Anna works in Lyon.",
] * 9


def test_documents_are_tokenised_in_order_up_to_the_number_asked_for(
    any_tokenizer: PreTrainedTokenizerFast,
) -> None:
    text = tokenize_text(any_tokenizer, DOCUMENTS, tokens=40, max_length=64)
    assert text.tokens == 40
    first = any_tokenizer(DOCUMENTS[0])["input_ids"]
    assert text.documents[0].tolist() == first
    assert all(document.dtype == torch.int64 for document in text.documents)


def test_each_document_fits_the_models_context(any_tokenizer: PreTrainedTokenizerFast) -> None:
    text = tokenize_text(any_tokenizer, DOCUMENTS, tokens=40, max_length=5)
    assert max(len(document) for document in text.documents) == 5


def test_documents_without_a_next_token_are_left_out(any_tokenizer: PreTrainedTokenizerFast) -> None:
    text = tokenize_text(any_tokenizer, DOCUMENTS, tokens=60, max_length=64)
    assert min(len(document) for document in text.documents) >= 2


def test_too_little_text_is_an_error_that_counts_it(any_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(DataError, match=r"the text gives \d+ tokens in 36 documents .* 9000 were asked for"):
        tokenize_text(any_tokenizer, DOCUMENTS, tokens=9000, max_length=64)
    with pytest.raises(DataError, match="gives 0 tokens in 0 documents"):
        tokenize_text(any_tokenizer, [], tokens=1, max_length=64)


def test_the_fingerprint_is_of_the_ids_and_where_they_are_parted(
    any_tokenizer: PreTrainedTokenizerFast,
) -> None:
    def fingerprint(documents: list[str], tokens: int, length: int) -> str:
        return tokenize_text(any_tokenizer, documents, tokens=tokens, max_length=length).fingerprint

    def parted(length: int) -> str:
        long = " ".join(DOCUMENTS)
        return tokenize_text(any_tokenizer, [long], tokens=40, max_length=length, windows=True).fingerprint

    assert parted(40) != parted(20)
    prints = [
        fingerprint(DOCUMENTS, 40, 64),
        fingerprint(DOCUMENTS, 39, 64),
        fingerprint(DOCUMENTS, 40, 5),
        fingerprint(DOCUMENTS[3:], 40, 64),
    ]
    assert len(set(prints)) == 4
    assert fingerprint(DOCUMENTS, 40, 64) == prints[0]
