"""Which facts a model knows: every token of the true target is its first choice."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from stability.data.edits import Edit
from stability.metrics.scoring.targets import score_targets
from stability.models import stated_context_length, statement
from stability.models.tokens import Tokenizer

AT_ONCE = 64  # facts
SPECIAL = 8  # tokens that a tokenizer may add of its own


def known(model: nn.Module, tokenizer: Tokenizer, facts: Sequence[Edit]) -> list[bool]:
    """Whether the model knows what each edit is about: `target_true`, token by token, after the prompt.

    Every token of it is the argmax, given the true ones before it (teacher-forced). A fact without a
    `target_true`, or longer than the model's context, is not known.

    Raises:
        DataError: a target has no token of its own.
        MeasurementError: a log-probability is NaN or infinite.
        ModelError: the model has no output embedding.
    """
    asked = {
        number: (fact.filled, fact.target_true, fact.space)
        for number, fact in enumerate(facts)
        if fact.target_true is not None and _fits(model, tokenizer, fact, fact.target_true)
    }
    if not asked:
        return [False] * len(facts)
    accurate = score_targets(model, tokenizer, list(asked.values())).accurate.tolist()
    knows = dict(zip(asked, accurate, strict=True))
    return [knows.get(number, False) for number in range(len(facts))]


def known_first(model: nn.Module, tokenizer: Tokenizer, facts: Sequence[Edit], count: int) -> list[int]:
    """The places of the first `count` facts that the model knows, of all of them if these are fewer.

    Facts are asked a batch at a time, and none after the batch that completes the count; raises as `known`.
    """
    places: list[int] = []
    for first in range(0, len(facts), AT_ONCE):
        answers = known(model, tokenizer, facts[first : first + AT_ONCE])
        places += [first + number for number, knows in enumerate(answers) if knows]
        if len(places) >= count:
            break
    return places[:count]


def _fits(model: nn.Module, tokenizer: Tokenizer, fact: Edit, target: str) -> bool:
    limit = stated_context_length(model)
    text = statement(fact.filled, target, fact.space)
    # A token is a byte or more.
    return (
        limit is None or len(text.encode()) + SPECIAL <= limit or len(tokenizer(text)["input_ids"]) <= limit
    )
