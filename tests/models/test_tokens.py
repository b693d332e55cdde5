from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from stability.errors import DataError, ModelError
from stability.models import encode, pad_id, pad_right, subject_last_index

Build = Callable[[str], PreTrainedTokenizerFast]


def test_the_target_is_what_follows_the_prompt(any_tokenizer: PreTrainedTokenizerFast) -> None:
    encoded = encode(any_tokenizer, "Anna Berg plays the", "oboe")
    assert any_tokenizer.decode(encoded.target_ids).strip() == "oboe"
    prompt = any_tokenizer.decode(encoded.input_ids[: encoded.target_start], skip_special_tokens=True)
    assert prompt.strip() == "Anna Berg plays the"
    assert encoded.input_ids == any_tokenizer("Anna Berg plays the oboe")["input_ids"]


def test_one_space_stands_between_however_they_are_written(any_tokenizer: PreTrainedTokenizerFast) -> None:
    assert encode(any_tokenizer, "Anna plays the ", " oboe") == encode(
        any_tokenizer, "Anna plays the", "oboe"
    )


def test_a_bos_stays_in_front_if_the_tokenizer_adds_one(build_tokenizer: Build) -> None:
    assert encode(build_tokenizer("pieces"), "Anna works in", "Lyon").input_ids[0] == 0
    assert encode(build_tokenizer("bytes"), "Anna works in", "Lyon").input_ids[0] != 0


def test_an_end_that_the_tokenizer_adds_is_no_part_of_the_target(build_tokenizer: Build) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer = build_tokenizer("words")
    plain = encode(tokenizer, "Anna works in", "Lyon")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A <eos>", special_tokens=[("<eos>", 0)]
    )
    assert tokenizer("Lyon")["input_ids"][-1] == 0
    assert encode(tokenizer, "Anna works in", "Lyon") == plain


def test_an_end_of_text_that_is_written_out_can_be_a_target(build_tokenizer: Build) -> None:
    tokenizer = build_tokenizer("bytes")
    assert encode(tokenizer, "Anna works in", "<eos>").target_ids[-1] == tokenizer.eos_token_id


def test_an_unknown_word_can_be_a_target(build_tokenizer: Build) -> None:
    tokenizer = build_tokenizer("words")
    assert encode(tokenizer, "Anna works in", "Atlantis").target_ids == [tokenizer.unk_token_id]


def test_a_character_of_several_tokens_belongs_to_the_target_whole(build_tokenizer: Build) -> None:
    encoded = encode(build_tokenizer("bytes"), "Anna works in", "京都")
    assert len(encoded.target_ids) == 7  # the space and two times three bytes


def test_an_empty_target_is_an_error(any_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(DataError, match="the target '' has no token"):
        encode(any_tokenizer, "Anna works in", " ")


def test_a_target_needs_something_before_it(build_tokenizer: Build) -> None:
    with pytest.raises(DataError, match="nothing stands before the target"):
        encode(build_tokenizer("words"), "", "Lyon")
    assert encode(build_tokenizer("pieces"), "", "Lyon").target_start == 1  # its BOS stands there


def test_a_tokenizer_without_offsets_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(ModelError, match="Slow gives no character offsets"):
        encode(Slow(), "Anna works in", "Lyon")


@pytest.mark.parametrize(
    ("template", "subject"),
    [
        ("{} plays the", "Anna Berg"),
        ("{} plays the", "Zoë Ångström"),
        ("Paris is not Rome. {} works in", "Anna Berg"),
        ("In Paris, {}, who plays the cello, works in", "Steve Jobs"),
        ("Anna Berg is not {} who plays the", "Anna Berg"),
        ("Rome is where one finds {}", "Paris"),
    ],
)
def test_the_subjects_last_token_is_at_the_place_of_the_braces(
    any_tokenizer: PreTrainedTokenizerFast, template: str, subject: str
) -> None:
    index = subject_last_index(any_tokenizer, template, subject)
    filled = template.replace("{}", subject)
    end = template.index("{}") + len(subject)
    offsets = any_tokenizer(filled, return_offsets_mapping=True)["offset_mapping"]
    assert offsets[index][0] < end == offsets[index][1]


def test_the_index_is_the_same_when_the_target_follows(any_tokenizer: PreTrainedTokenizerFast) -> None:
    index = subject_last_index(any_tokenizer, "{} works in", "Zoë Ångström")
    ids = any_tokenizer("Zoë Ångström works in")["input_ids"]
    whole = encode(any_tokenizer, "Zoë Ångström works in", "Lyon").input_ids
    assert whole[: index + 1] == ids[: index + 1]


@pytest.mark.parametrize("template", ["plays the", "{} and {} play the"])
def test_a_template_has_exactly_one_place(any_tokenizer: Any, template: str) -> None:
    with pytest.raises(DataError, match="exactly one"):
        subject_last_index(any_tokenizer, template, "Anna")


def test_a_subject_without_a_token_is_an_error(any_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(DataError, match="the subject ' ' has no token"):
        subject_last_index(any_tokenizer, "{} plays the", " ")


@given(st.lists(st.lists(st.integers(1, 99), max_size=9), max_size=5))
def test_padding_on_the_right_keeps_every_row_in_front(sequences: list[list[int]]) -> None:
    ids, mask = pad_right(sequences, 0)
    assert ids.shape == mask.shape
    assert ids.dtype == mask.dtype == torch.int64
    assert len(ids) == len(sequences)
    for row, attended, sequence in zip(ids, mask, sequences, strict=True):
        assert row[: len(sequence)].tolist() == sequence
        assert row[len(sequence) :].eq(0).all()
        assert attended.tolist() == [1] * len(sequence) + [0] * (len(row) - len(sequence))


def test_the_padding_is_the_tokenizers_own_or_its_end_of_text(build_tokenizer: Build) -> None:
    words, pieces = build_tokenizer("words"), build_tokenizer("pieces")
    assert pad_id(words) == words.eos_token_id
    words.pad_token = "<unk>"
    assert pad_id(words) == words.unk_token_id
    assert pieces.eos_token_id is None
    assert pad_id(pieces) == 0
