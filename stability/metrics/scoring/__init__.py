"""Passes of a model that metrics share: over the text, over the edits' prompts, over tasks' continuations."""

from stability.metrics.scoring.forward import Scores, best_plan, check_shape, returned_logits, score
from stability.metrics.scoring.plan import Batch, Plan, Request, make_plan
from stability.metrics.scoring.targets import TargetScores, score_targets

__all__ = [
    "Batch",
    "Plan",
    "Request",
    "Scores",
    "TargetScores",
    "best_plan",
    "check_shape",
    "make_plan",
    "returned_logits",
    "score",
    "score_targets",
]
