"""Whether a model takes an edit's prompts whole: one that is cut would be measured as another prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from stability.data.edits import Edit
from stability.errors import DataError
from stability.models import stated_context_length, statement
from stability.models.tokens import Tokenizer

SPECIAL = 8  # tokens that a tokenizer may add of its own


def refuse_too_long(model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> None:
    """See that each prompt of each edit, with a target behind it, fits into the model's context.

    Raises:
        DataError: one is longer; named are the edit, the prompt, its tokens and the limit.
    """
    limit = stated_context_length(model)
    if limit is None:
        return
    for edit in edits:
        for what, text in _texts(edit):
            if len(text.encode()) + SPECIAL <= limit:  # a token is a byte or more
                continue
            count = len(tokenizer(text)["input_ids"])
            if count > limit:
                raise DataError(
                    f"edit {edit.id}: its {what} has {count:,} tokens with its target, the model takes "
                    f"{limit:,} at once; shorten it or leave the edit out",
                    expected=f"at most {limit} tokens",
                    got=f"{count} tokens",
                )


def _texts(edit: Edit) -> Iterator[tuple[str, str]]:
    """What is asked, and with it each target that it is asked with."""
    prompts = [("prompt", edit.filled)]
    prompts += [("paraphrase prompt", prompt) for prompt in edit.paraphrase_prompts]
    prompts += [("neighborhood prompt", prompt) for prompt in edit.neighborhood_prompts]
    for what, prompt in prompts:
        for target in (edit.target, edit.target_true):
            if target is not None:
                yield what, statement(prompt, target, edit.space)
