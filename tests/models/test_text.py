from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from stability.errors import DataError
from stability.models import tokenize_text
from tests.examples import examples
from tests.models.conftest import build_tokenizer

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


def test_each_window_fits_the_models_context(any_tokenizer: PreTrainedTokenizerFast) -> None:
    text = tokenize_text(any_tokenizer, DOCUMENTS, tokens=40, max_length=5)
    assert max(len(window) for window in text.windows) == 5


def test_windows_without_a_next_token_are_left_out(any_tokenizer: PreTrainedTokenizerFast) -> None:
    text = tokenize_text(any_tokenizer, DOCUMENTS, tokens=60, max_length=64)
    assert min(len(window) for window in text.windows) >= 2


def test_too_little_text_is_an_error_that_counts_it(any_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(DataError, match=r"the text gives \d+ tokens in 36 documents, 9000 were asked for"):
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
        return tokenize_text(any_tokenizer, [long], tokens=40, max_length=length).fingerprint

    assert parted(40) != parted(20)
    prints = [
        fingerprint(DOCUMENTS, 40, 64),
        fingerprint(DOCUMENTS, 39, 64),
        fingerprint(DOCUMENTS, 40, 5),
        fingerprint(DOCUMENTS[3:], 40, 64),
    ]
    assert len(set(prints)) == 4
    assert fingerprint(DOCUMENTS, 40, 64) == prints[0]


TOKENIZERS = {kind: build_tokenizer(kind) for kind in ("words", "bytes", "pieces")}


@given(
    kind=st.sampled_from(sorted(TOKENIZERS)),
    documents=st.lists(
        st.lists(st.sampled_from(DOCUMENTS), max_size=8).map(" ".join), min_size=1, max_size=6
    ),
    length=st.integers(2, 40),
    share=st.floats(0, 1),
    opened=st.booleans(),
)
@settings(max_examples=examples(40))
def test_windows_hold_each_token_of_each_document_once_and_in_order(
    kind: str, documents: list[str], length: int, share: float, opened: bool
) -> None:
    tokenizer = TOKENIZERS[kind]
    opening = tokenizer("")["input_ids"] if opened else []
    whole = [ids for ids in tokenizer(documents)["input_ids"] if len(ids) >= 2]
    tokens = int(share * sum(len(ids) - 1 for ids in whole))
    assume(tokens >= 2)
    text = tokenize_text(tokenizer, documents, tokens=tokens, max_length=length, opened=opened)
    assert tokens - text.tokens in (0, 1)  # of one token, which nothing would predict

    last = text.document[-1]
    for number, ids in enumerate(whole[: last + 1]):
        windows = [
            window.tolist()
            for window, document in zip(text.windows, text.document, strict=True)
            if document == number
        ]
        assert text.documents[number].tolist() == [token for window in windows for token in window]
        assert all(window[: len(opening)] == opening for window in windows)
        assert all(len(window) == length for window in windows[:-1])
        joined = opening + [token for window in windows for token in window[len(opening) :]]
        assert joined == ids[: len(joined)]
        assert number == last or len(ids) - len(joined) in (0, 1)


def test_a_window_that_only_the_tokenizers_own_token_fits_is_an_error() -> None:
    with pytest.raises(
        DataError, match=r"a window of 1 tokens is too short: .* puts 1 before .*; 2 are needed"
    ):
        tokenize_text(TOKENIZERS["pieces"], DOCUMENTS, tokens=40, max_length=1, opened=True)
