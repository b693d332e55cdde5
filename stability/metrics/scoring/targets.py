"""How a model answers prompts: the log-probability of each target, and whether it would be the argmax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from stability.metrics.scoring.forward import score
from stability.metrics.scoring.plan import Request, make_plan
from stability.models import Asked, encode, output_head, stated_context_length
from stability.models.tokens import Tokenizer

BATCH_ROWS = 64


@dataclass(frozen=True)
class TargetScores:
    """One entry for each prompt and target.

    `mean_log_prob` [n]: the mean over the target's tokens, as CounterFact compares targets of unequal length.
    `accurate` [n] bool: every target token is the argmax, given the true ones before it (teacher-forced).
    """

    mean_log_prob: Tensor
    accurate: Tensor


def score_targets(model: nn.Module, tokenizer: Tokenizer, asked: Sequence[Asked]) -> TargetScores:
    """Score targets after prompts; what stands between is for `encode` to say.

    Raises:
        DataError: a target has no token of its own.
        MeasurementError: a log-probability is NaN or infinite.
        ModelError: the model has no output embedding, or the tokenizer knows no offsets.
    """
    encoded = [encode(tokenizer, *one) for one in asked]
    requests = [
        Request(tuple(one.input_ids[: one.target_start]), tuple(one.input_ids[one.target_start :]))
        for one in encoded
    ]
    # Prompts of edits are short: one row for each sequence costs less than masks would.
    # What is too long for the model was refused, and nothing is cut where its limit is not known.
    longest = max((len(one.context) + len(one.continuation) for one in requests), default=1)
    plan = make_plan(requests, stated_context_length(model) or longest, BATCH_ROWS, share=False)
    scores = score(plan, model, output_head(model))
    return TargetScores(scores.log_probs / plan.lengths, scores.greedy)
