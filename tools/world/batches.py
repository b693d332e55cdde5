"""From documents to batches of token rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from stability.world import text
from stability.world.facts import World
from tools.world.recipe import Recipe


def pack(documents: Iterable[str], tokenizer: PreTrainedTokenizerFast, length: int) -> Iterator[list[int]]:
    """Rows of exactly `length` token ids: whole documents between end tokens, the last one cut off.

    Each row starts with the start of a document, as every prompt does.
    """
    stream = iter(documents)
    row: list[int] = []
    while some := list(islice(stream, 256)):
        for ids in tokenizer(some)["input_ids"]:
            row += [*ids, tokenizer.eos_token_id]
            if len(row) >= length:
                yield row[:length]
                row = []


def batches(world: World, tokenizer: PreTrainedTokenizerFast, recipe: Recipe, seed: int) -> Iterator[Tensor]:
    """Batches of token ids [rows, context]; the first few speak of a few subjects only.

    Learning to recall forty people first and the other hundreds afterwards is quicker than all at once.
    """
    few = world.editable[: recipe.opening_subjects]
    opening = text.training_documents(world, f"opening-{seed}", few)
    rows = chain(
        islice(pack(opening, tokenizer, recipe.context), recipe.rows * recipe.opening_steps),
        pack(text.training_documents(world, seed), tokenizer, recipe.context),
    )
    while batch := list(islice(rows, recipe.rows)):
        yield torch.tensor(batch)
