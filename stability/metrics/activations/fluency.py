"""Whether the model still writes varied text: the entropy of the n-grams of what it generates."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from stability.errors import DataError
from stability.metrics.activations.steps.positions import evenly
from stability.metrics.plugin.metric import Context, Metric, register
from stability.metrics.scoring import check_shape
from stability.models import context_length
from stability.models.modes import evaluating
from stability.record import Reading
from stability.record.schema import Over
from stability.suite import SuiteSpec

PROMPTS = 16
PROMPT_TOKENS = 8
LENGTH = 100  # tokens of prompt and continuation together, if the context allows
WORD = re.compile(r"\w+|[^\w\s]")


@register
class Fluency(Metric):
    """Mean n-gram entropy, in bits, of greedy continuations of prompts that are cut from the text.

    The measure is ROME's (Meng et al. 2022, "generation entropy", after Zhang et al. 2018): for each text,
    (2/3 · H2 + 4/3 · H3) / 2, where Hn = -Σ f log2 f over the relative frequencies f of its word n-grams,
    then the mean over texts. It differs in that generation is greedy, so that a model has one fluency and no
    seed; that the prompt itself is not counted; and that words are runs of letters, digits and underscores,
    every other visible character being a word of its own. A model that repeats itself tends to 0.
    """

    name: ClassVar[str] = "fluency"
    summary: ClassVar[str] = "n-gram entropy of greedy continuations"
    over: ClassVar[Over] = "scalar"
    unit: ClassVar[str] = "bits"

    def wanted(self, suite: SuiteSpec) -> bool:
        """On the built-in model always, on others where a check asks: it runs the model a token at a time."""
        return suite.model.name == "world" or any(
            check.metric == self.name for check in suite.checks.values()
        )

    def measure(self, context: Context) -> Reading:
        """A single value."""
        prompts = cut_prompts(context.text.documents)  # [prompts, tokens]
        limit = context_length(context.model)
        length = min(LENGTH, limit)
        if length - prompts.shape[1] < 3:
            raise DataError(f"fluency: a context of {limit} tokens leaves no room to continue a prompt")
        prompts = prompts.to(context.map.device)
        rows = continue_greedily(context.model, prompts, length - prompts.shape[1]).tolist()
        texts = [context.tokenizer.decode(row, skip_special_tokens=True) for row in rows]
        return Reading(
            over=self.over,
            values={"": sum(ngram_entropy(text) for text in texts) / len(texts)},
            unit=self.unit,
        )


def cut_prompts(documents: Sequence[Tensor]) -> Tensor:
    """The first tokens of documents spread evenly over the text, all of one length: [prompts, tokens].

    Raises:
        DataError: there is no token at all.
    """
    tokens = min(PROMPT_TOKENS, max((len(document) for document in documents), default=0))
    if tokens == 0:
        raise DataError("fluency: the text holds no token to begin from")
    long_enough = [document for document in documents if len(document) >= tokens]
    chosen = evenly(len(long_enough), PROMPTS).tolist()
    return torch.stack([long_enough[number][:tokens] for number in chosen])


def continue_greedily(model: nn.Module, prompts: Tensor, tokens: int) -> Tensor:
    """The most probable next token, again and again, past any end-of-text: [prompts, tokens]."""
    made: list[Tensor] = []
    cache: Any = None
    ids, seen = prompts, torch.ones_like(prompts)
    with evaluating(model):
        for _ in range(tokens):
            output = model(input_ids=ids, attention_mask=seen, past_key_values=cache, use_cache=True)
            check_shape(model, output.logits, ids.shape)
            cache = output.past_key_values
            ids = output.logits[:, -1:].argmax(-1)  # [prompts, 1]
            seen = torch.cat([seen, torch.ones_like(ids)], 1)
            made.append(ids)
    return torch.cat(made, 1)


def ngram_entropy(text: str) -> float:
    """(2/3 · H2 + 4/3 · H3) / 2 in bits, Hn the entropy of the text's word n-grams; 0 if there is none."""
    words = WORD.findall(text)
    return (2 / 3 * _entropy(words, 2) + 4 / 3 * _entropy(words, 3)) / 2


def _entropy(words: Sequence[str], n: int) -> float:
    counts = Counter(zip(*(words[start:] for start in range(n)), strict=False))
    total = counts.total()
    return math.fsum(count / total * math.log2(total / count) for count in counts.values())
