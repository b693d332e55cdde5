from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerFast

from stability.errors import DataError, ModelError
from stability.models import encode, pad_id, pad_right, space_between, subject_last_index

Build = Callable[[str], PreTrainedTokenizerFast]


@functools.cache
def bytes_tokenizer() -> PreTrainedTokenizerFast:
    """As GPT-2's, a token for each byte."""
    tokenizer = Tokenizer(
        models.BPE(vocab={c: i for i, c in enumerate(sorted(ByteLevel.alphabet()))}, merges=[])
    )
    tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def test_the_target_is_what_follows_the_prompt(any_tokenizer: PreTrainedTokenizerFast) -> None:
    encoded = encode(any_tokenizer, "Anna Berg plays the", "oboe")
    assert any_tokenizer.decode(encoded.target_ids).strip() == "oboe"
    prompt = any_tokenizer.decode(encoded.input_ids[: encoded.target_start], skip_special_tokens=True)
    assert prompt.strip() == "Anna Berg plays the"
    assert encoded.input_ids == any_tokenizer("Anna Berg plays the oboe")["input_ids"]


@pytest.mark.parametrize(
    ("prompt", "target"),
    [
        ("The capital of France is", "Paris"),
        ("Q: What is the capital of France?", "Paris"),
        ("Answer:", "Paris"),
        ("[INST] Where is it? [/INST]", "Paris"),
        ("프랑스의 수도는", "파리"),
        ("Столица Франции —", "Париж"),
        ("عاصمة فرنسا هي", "باريس"),
        ("फ्रांस की राजधानी", "पेरिस"),
        ("He was born in", "1989"),
        ("Ha Noi is in Việt Nam, said a\u0302", "e\u0301t"),
        ("The capital 🎉", "Paris"),
        ("It is (", "Paris"),
        ("...", "!"),
    ],
)
def test_a_space_stands_between_words_of_scripts_that_write_one(prompt: str, target: str) -> None:
    assert space_between(prompt, target) == " "
    assert space_between(prompt, target, space=False) == ""


@pytest.mark.parametrize(
    ("prompt", "target"),
    [
        ("中国的首都是", "纽约"),
        ("日本の首都は", "東京"),
        ("データ", "センター"),
        ("ラーメンのスープー", "味"),
        ("เมืองหลวงคือ", "ปารีส"),
        ("ເມືອງຫຼວງແມ່ນ", "ວຽງຈັນ"),
        ("រាជធានី", "ភ្នំពេញ"),
        ("မြို့တော်", "ရန်ကုန်"),
        ("བོད་ཀྱི་", "ལྷ་ས"),
        ("中国的首都是:", "纽约"),
        ("中国的首都是哪里？", "New York"),
        ("答案：", "Paris"),
        ("首都是“", "Paris"),
        ("The capital is", "東京"),
        ("他出生于", "1989"),
        ("𠮷野家", "牛丼"),
        ("Ａ", "B"),
        ("<|assistant|>", "Paris"),
        ("<｜Assistant｜>", "Paris"),
        ("The capital is", "<eos>"),
    ],
)
def test_no_space_stands_between_where_the_script_of_either_writes_none(prompt: str, target: str) -> None:
    assert space_between(prompt, target) == ""
    assert space_between(prompt, target, space=True) == " "


@pytest.mark.parametrize("space", [None, True, False])
@pytest.mark.parametrize("white", [" ", "\n", "\t", "\r\n", "\xa0", "\u3000", "\u2028", "  "])
def test_there_is_never_a_space_after_white_space(white: str, space: bool | None) -> None:
    assert space_between("assistant" + white, "Paris", space) == ""
    assert space_between("assistant" + white, " Paris", space) == ""


def test_a_target_that_is_written_with_a_space_has_one() -> None:
    assert space_between("首都是", " Paris") == " "
    assert space_between("首都是", " Paris", space=False) == ""


def test_a_prompt_keeps_its_white_space(build_tokenizer: Build) -> None:
    tokenizer = build_tokenizer("bytes")
    for prompt in ("assistant\n", "assistant\n\n", "Anna plays the ", "\tAnna\t", "a\u3000"):
        encoded = encode(tokenizer, prompt, "oboe")
        assert encoded.input_ids == tokenizer(prompt + "oboe")["input_ids"]
        assert tokenizer.decode(encoded.target_ids).strip() == "oboe"


def test_the_text_is_the_prompt_the_target_and_what_stands_between(build_tokenizer: Build) -> None:
    tokenizer = build_tokenizer("bytes")
    for space, text in ((None, "首都是纽约"), (False, "首都是纽约"), (True, "首都是 纽约")):
        encoded = encode(tokenizer, "首都是", "纽约", space)
        assert encoded.input_ids == tokenizer(text)["input_ids"]
        assert tokenizer.decode(encoded.target_ids).strip() == "纽约"


@given(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12).filter(str.strip),
    st.sampled_from([None, True, False]),
)
def test_whatever_they_hold_only_a_space_is_ever_put_between(
    prompt: str, target: str, space: bool | None
) -> None:
    between = space_between(prompt, target, space)
    assert between in ("", " ")
    tokenizer = bytes_tokenizer()
    encoded = encode(tokenizer, prompt, target, space)
    assert encoded.input_ids == tokenizer(prompt + between + target.strip())["input_ids"]
    first = tokenizer.decode(encoded.input_ids[: encoded.target_start])
    assert prompt.startswith(first.rstrip("\ufffd"))  # a token may reach over the border, from the prompt


def test_a_prompt_and_a_target_of_one_token_are_told_apart_by_a_space(build_tokenizer: Build) -> None:
    words = build_tokenizer("words")
    with pytest.raises(DataError, match=r"makes one token of the prompt .* \(space: true\)"):
        encode(words, "首都是", "纽约")
    assert encode(words, "首都是", "纽约", space=True).target_start == 1


def test_the_subject_is_found_in_the_row_that_the_target_is_in(build_tokenizer: Build) -> None:
    tokenizer = build_tokenizer("bytes")
    index = subject_last_index(tokenizer, "{}", "首都", "纽约")
    whole = tokenizer("首都纽约", return_offsets_mapping=True)
    assert whole["offset_mapping"][index][0] < 2


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
    tokenizer = build_tokenizer("bytes")
    assert len(encode(tokenizer, "Anna works in", "京都").target_ids) == 6  # two times three bytes
    assert len(encode(tokenizer, "Anna works in", "京都", space=True).target_ids) == 7


def test_one_space_stands_between_whoever_writes_it(build_tokenizer: Build) -> None:
    for tokenizer in map(build_tokenizer, ("bytes", "words")):
        assert encode(tokenizer, "Anna plays the ", " oboe") == encode(tokenizer, "Anna plays the", "oboe")


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
