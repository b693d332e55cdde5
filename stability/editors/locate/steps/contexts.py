"""Short texts placed before an edit's prompt, so that the edit also works within running text."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from stability.errors import EditorError
from stability.models import Tokenizer

TOP_K = 5


@torch.no_grad()
def sample_contexts(
    model: nn.Module, tokenizer: Tokenizer, lengths: Sequence[tuple[int, int]], generator: torch.Generator
) -> tuple[str, ...]:
    """Contexts that the model itself writes: for each (length, count), `count` texts of `length` tokens.

    The first context is empty; every other one ends in a full stop and a space. Tokens are drawn from the
    five most probable, as in ROME (Meng et al. 2022, section 3.1, and its code), with the caller's CPU
    generator.

    Raises:
        EditorError: the tokenizer has no token to begin a text with.
    """
    if not lengths:
        return ("",)
    start = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    if start is None:
        raise EditorError(
            "contexts cannot be sampled: the tokenizer has neither a beginning nor an end of text; "
            "set context_template_length_params to []"
        )
    device = next(model.parameters()).device
    contexts = [""]
    for length, count in lengths:
        ids = torch.full((count, 1), start, device=device)  # [count, tokens so far]
        for _ in range(length):
            seen = torch.ones_like(ids)
            logits = model(input_ids=ids, attention_mask=seen, use_cache=False).logits[:, -1]
            logits = logits.float().cpu()  # [count, vocabulary]
            best = logits.topk(TOP_K, dim=-1)
            drawn = torch.multinomial(best.values.softmax(dim=-1), 1, generator=generator)  # [count, 1]
            ids = torch.cat([ids, best.indices.gather(1, drawn).to(device)], dim=1)
        contexts += [
            _as_context(text) for text in tokenizer.batch_decode(ids[:, 1:], skip_special_tokens=True)
        ]
    return tuple(contexts)


def _as_context(text: str) -> str:
    text = text.replace("{", "").replace("}", "").strip()  # braces would be taken for the subject's place
    return f"{text} " if text.endswith(".") else f"{text}. "
