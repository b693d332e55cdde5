"""The world's own tokenizer: one token per word or punctuation mark."""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tools.world import vocabulary


def build_tokenizer(context: int) -> PreTrainedTokenizerFast:
    """A fast word-level tokenizer for texts of at most `context` tokens.

    Spaces only separate words, so " Oslo" and "Oslo" are one token; no special token is added; what is not in
    the vocabulary is `<unk>`. Decoding puts a space before every word and none before punctuation.
    """
    ids = {word: i for i, word in enumerate((*vocabulary.SPECIAL, *vocabulary.words()))}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=vocabulary.UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("isolated")]
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(Regex(r"^(?=[\w<])"), " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token=vocabulary.UNKNOWN,
        eos_token=vocabulary.END,
        pad_token=vocabulary.PADDING,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
