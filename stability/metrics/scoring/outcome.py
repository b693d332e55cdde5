"""How a model answers an edit: on its prompt, its paraphrases and its neighborhood, as CounterFact scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from stability.data.edits import Edit
from stability.metrics.scoring import score_targets
from stability.metrics.scoring.lengths import refuse_too_long
from stability.models import Asked, space_between
from stability.models.tokens import Tokenizer
from stability.record import EditOutcome

AT_ONCE = 500  # edits; planning takes some kilobytes for each, and a long run asks about all of its edits


def edit_outcomes(model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> list[EditOutcome]:
    """One outcome for each edit, measured on the model as it is now.

    A target wins over the other if its mean token log-probability is higher: on the edit's own prompt and its
    paraphrases `target` should win over `target_true`, on its neighborhood prompts the other way round (ROME,
    Meng et al. 2022). Without `target_true` only the accuracy is measured.

    Raises:
        DataError: a prompt or a target has no tokens, or a prompt does not fit into the model's context.
        MeasurementError: a log-probability is NaN or infinite.
        ModelError: the model has no output embedding.
    """
    refuse_too_long(model, tokenizer, edits)
    return [
        outcome
        for first in range(0, len(edits), AT_ONCE)
        for outcome in _outcomes(model, tokenizer, edits[first : first + AT_ONCE])
    ]


def _outcomes(model: nn.Module, tokenizer: Tokenizer, edits: Sequence[Edit]) -> list[EditOutcome]:
    asked: dict[Asked, int] = {}  # each once, in order
    for edit in edits:
        for one in _asked(edit):
            asked.setdefault(one, len(asked))
    if not asked:
        return []
    scores = score_targets(model, tokenizer, tuple(asked))
    log_probs, accurate = scores.mean_log_prob.tolist(), scores.accurate.tolist()

    def outcome(edit: Edit) -> EditOutcome:
        true = edit.target_true
        judged: dict[str, Any] = {}
        if true is not None:

            def new_wins_by(prompt: str) -> float:
                new, old = (asked[prompt, target, edit.space] for target in (edit.target, true))
                return float(log_probs[new] - log_probs[old])

            judged = {
                "success": new_wins_by(edit.filled) > 0,
                "paraphrase_success": _share(new_wins_by(one) > 0 for one in edit.paraphrase_prompts),
                "neighborhood_success": _share(new_wins_by(one) < 0 for one in edit.neighborhood_prompts),
            }
        return EditOutcome(
            id=edit.id,
            prompt=edit.prompt,
            subject=edit.subject,
            target=edit.target,
            target_true=true,
            space=bool(space_between(edit.filled, edit.target, edit.space)),
            accurate=accurate[asked[edit.filled, edit.target, edit.space]],
            **judged,
        )

    return [outcome(edit) for edit in edits]


def _asked(edit: Edit) -> Iterable[Asked]:
    """The prompts and targets whose scores decide the edit's outcome."""
    yield edit.filled, edit.target, edit.space
    if edit.target_true is not None:
        for prompt in (edit.filled, *edit.paraphrase_prompts, *edit.neighborhood_prompts):
            yield prompt, edit.target, edit.space
            yield prompt, edit.target_true, edit.space


def _share(wins: Iterable[bool]) -> float | None:
    """The share of prompts that were won; None if there are none."""
    counted = list(wins)
    return sum(counted) / len(counted) if counted else None
