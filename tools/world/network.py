"""The network: a small GPT-2, and a forward pass in which each block sees only what it may."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from tools.world.recipe import Recipe


def build_network(recipe: Recipe, tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    """An untrained model with the recipe's initialisation, drawn from torch's global generator."""
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=recipe.context,
        n_embd=recipe.width,
        n_layer=recipe.layers,
        n_head=recipe.heads,
        n_inner=recipe.mlp_width,
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = GPT2LMHeadModel(config)
    nn.init.normal_(model.transformer.wte.weight, std=recipe.std_wte)
    for block in model.transformer.h:
        nn.init.normal_(block.mlp.c_fc.weight, std=recipe.std_mlp_in)
        nn.init.normal_(block.mlp.c_proj.weight, std=recipe.std_mlp_out)
    return model


def token_table(tokenizer: PreTrainedTokenizerFast, words: frozenset[str]) -> Tensor:
    """True for the ids of these words: [vocabulary]."""
    table = torch.zeros(len(tokenizer), dtype=torch.bool)
    table[tokenizer.convert_tokens_to_ids(sorted(words))] = True
    return table


def documents(ids: Tensor, end: int) -> tuple[Tensor, Tensor]:
    """Which document of its row each token belongs to, and its position there: both [rows, tokens].

    An end token is the last of its document.
    """
    ends = ids == end
    document = ends.cumsum(dim=1) - ends.long()
    index = torch.arange(ids.shape[1]).expand_as(ids)
    starts = torch.ones_like(ends)
    starts[:, 1:] = ends[:, :-1]
    return document, index - torch.where(starts, index, 0).cummax(dim=1).values


def visible(document: Tensor) -> Tensor:
    """Which key each query may attend to, [rows, queries, keys]: what is not later, in the same document."""
    tokens = document.shape[1]
    causal = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    return causal & (document[:, :, None] == document[:, None, :])


def without(mask: Tensor, hidden: Tensor, is_name: Tensor) -> Tensor:
    """`mask` [rows, queries, keys] that also conceals `hidden` words [rows, tokens] from all but names."""
    return mask & ~(hidden[:, None, :] & ~is_name[:, :, None])


def forward(model: GPT2LMHeadModel, ids: Tensor, positions: Tensor, masks: list[Tensor]) -> Tensor:
    """Logits [rows, tokens, vocabulary] with a mask [rows, queries, keys] of its own for each block.

    GPT-2 as it is, but for what the masks hide.
    """
    stack = model.transformer
    hidden = stack.wte(ids) + stack.wpe(positions)  # [rows, tokens, width]
    for block, mask in zip(stack.h, masks, strict=True):
        hidden = block(hidden, attention_mask=mask[:, None])
    logits: Tensor = model.lm_head(stack.ln_f(hidden))
    return logits
