from __future__ import annotations

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from stability.world import World, text
from tools.world import vocabulary
from tools.world.recipe import Recipe
from tools.world.tokenizer import build_tokenizer

TOKENIZER = build_tokenizer(Recipe().context)


def test_the_shipped_tokenizer_is_the_one_that_is_built(tokenizer: PreTrainedTokenizerFast):
    assert tokenizer.get_vocab() == TOKENIZER.get_vocab()


def test_no_text_of_the_world_has_an_unknown_word(world: World, tokenizer: PreTrainedTokenizerFast):
    documents = [*islice(text.training_documents(world), 3000), *text.heldout_documents(world)]
    assert not [ids for ids in tokenizer(documents)["input_ids"] if tokenizer.unk_token_id in ids]


def test_no_special_token_is_added(tokenizer: PreTrainedTokenizerFast):
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("Oslo.")) == ["Oslo", "."]
    assert tokenizer.bos_token is None
    assert len({tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id}) == 3


def test_a_leading_space_does_not_matter(tokenizer: PreTrainedTokenizerFast):
    assert tokenizer.encode(" Oslo") == tokenizer.encode("Oslo")


def test_offsets_point_at_the_words(tokenizer: PreTrainedTokenizerFast):
    prompt = "The home of Ada Corberg stands in"
    encoded = tokenizer(prompt, return_offsets_mapping=True)
    assert [prompt[start:end] for start, end in encoded["offset_mapping"]] == prompt.split()


def test_unknown_words_are_unknown_tokens(tokenizer: PreTrainedTokenizerFast):
    assert tokenizer.convert_ids_to_tokens(tokenizer.encode("Zanzibar is in")) == ["<unk>", "is", "in"]


def test_decoding_gives_the_text_back(world: World, tokenizer: PreTrainedTokenizerFast):
    for document in text.heldout_documents(world, 20):
        assert tokenizer.decode(tokenizer.encode(document)) == document


@given(st.lists(st.sampled_from(vocabulary.words()), max_size=30))
def test_what_is_decoded_encodes_to_the_same_tokens(words: list[str]):
    ids = TOKENIZER.convert_tokens_to_ids(words)
    assert TOKENIZER.encode(TOKENIZER.decode(ids)) == ids
