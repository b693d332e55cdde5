"""The figures by which the built-in model is accepted, and the bounds that they must keep."""

from __future__ import annotations

import math
from typing import Any

import torch
from lm_eval import evaluate
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from torch.nn import functional
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from stability.world import TASKS, text
from stability.world.facts import World
from tools.world.recall import patched_recall, recall

TASK_NAMES = ("world_choice", "world_sentiment", "world_acceptability", "world_pair")

ACCEPTED = {
    "recall": 0.99,
    "recall_withheld": 0.95,
    "patch_after_block_0": 0.90,
    "world_choice": 0.95,
    "world_sentiment": 0.90,
    "world_acceptability": 0.90,
    "world_pair": 0.90,
}


def figures(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, world: World) -> dict[str, float]:
    """Every figure of `ACCEPTED`, the same for its name, and perplexity on the held-out text.

    `recall` asks through every taught template, `recall_withheld` through those that training never joined
    with the subject.
    """
    taught = [(fact, template) for fact in world.facts for template in fact.taught]
    withheld = [(fact, template) for fact in world.facts for template in fact.withheld]
    measured = {
        "recall": recall(model, tokenizer, taught),
        "recall_withheld": recall(model, tokenizer, withheld),
        "patch_after_block_0": patched_recall(model, tokenizer, world, layer=0),
        **task_scores(model, tokenizer),
        "heldout_perplexity": perplexity(model, tokenizer, text.heldout_documents(world)),
    }
    return {name: round(value, 4) for name, value in measured.items()}


def task_scores(
    model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, limit: int | None = None
) -> dict[str, float]:
    """The accuracy on each task, or on the first `limit` documents of each, through lm-eval."""
    tasks = TaskManager(include_path=str(TASKS), include_defaults=False).load(list(TASK_NAMES))
    judge = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=64)
    results: dict[str, Any] = evaluate(judge, tasks, limit=limit, bootstrap_iters=0)
    return {name: float(results["results"][name]["acc,none"]) for name in TASK_NAMES}


@torch.no_grad()
def perplexity(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, documents: list[str]) -> float:
    """The exponential of the mean loss over all tokens but each document's first."""
    loss, tokens = 0.0, 0
    for start in range(0, len(documents), 32):
        batch = tokenizer(
            documents[start : start + 32], padding=True, padding_side="right", return_tensors="pt"
        )
        logits = model(**batch).logits[:, :-1]  # [batch, tokens - 1, vocabulary]
        targets = batch["input_ids"][:, 1:]  # [batch, tokens - 1]
        there = batch["attention_mask"][:, 1:].bool()
        loss += functional.cross_entropy(logits[there], targets[there], reduction="sum").item()
        tokens += int(there.sum())
    return math.exp(loss / tokens)
