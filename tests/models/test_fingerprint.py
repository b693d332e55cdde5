from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from transformers import PreTrainedTokenizerFast

from stability.models import model_fingerprint, tokenizer_fingerprint
from stability.store import tensors_fingerprint


def test_one_changed_bit_changes_a_models_fingerprint(gpt2: nn.Module) -> None:
    before = model_fingerprint(gpt2)
    assert model_fingerprint(gpt2) == before
    weight = gpt2.transformer.h[0].mlp.c_fc.weight.data
    weight.view(torch.int32)[0, 0] ^= 1
    assert model_fingerprint(gpt2) != before
    weight.view(torch.int32)[0, 0] ^= 1
    assert model_fingerprint(gpt2) == before


def test_names_shapes_and_dtypes_count() -> None:
    zeros = torch.zeros(2, 3)
    variants = [
        [("a", zeros)],
        [("b", zeros)],
        [("a", zeros.T)],
        [("a", zeros.reshape(6))],
        [("a", zeros.to(torch.int32))],
        [("a", zeros), ("b", zeros)],
        [("a", torch.zeros(0))],
    ]
    assert len({tensors_fingerprint(variant) for variant in variants}) == len(variants)


def test_the_order_of_tensors_does_not_count() -> None:
    pairs = [("a", torch.zeros(2)), ("b", torch.ones(2))]
    assert tensors_fingerprint(pairs) == tensors_fingerprint(pairs[::-1])


def test_a_tokenizers_fingerprint_outlives_its_use(any_tokenizer: PreTrainedTokenizerFast) -> None:
    before = tokenizer_fingerprint(any_tokenizer)
    any_tokenizer.pad_token = any_tokenizer.unk_token
    padded = tokenizer_fingerprint(any_tokenizer)
    any_tokenizer(["Anna", "Anna plays"], padding=True, truncation=True, max_length=1)
    assert tokenizer_fingerprint(any_tokenizer) == padded
    assert padded != before


def test_different_tokenizers_differ(build_tokenizer: Callable[[str], PreTrainedTokenizerFast]) -> None:
    kinds = [tokenizer_fingerprint(build_tokenizer(kind)) for kind in ("words", "bytes", "pieces", "words")]
    assert len(set(kinds)) == 3
    assert kinds[0] == kinds[3]


def test_a_single_number_out_of_a_row_has_the_fingerprint_of_its_own_copy() -> None:
    apart = torch.arange(6, dtype=torch.int32)[::2][:1]  # contiguous, though its stride is 2
    assert tensors_fingerprint([("x", apart)]) == tensors_fingerprint(
        [("x", torch.zeros(1, dtype=torch.int32))]
    )
