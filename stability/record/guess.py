"""What a guess scores: the accuracy of always giving the one answer that is right most often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def best_constant(golds: Sequence[Sequence[int]], weights: Sequence[float]) -> float:
    """The accuracy of the best single answer over several tasks' right choices, one weight a task.

    One answer for all of them: a best one for each would score the higher, the fewer documents each has.
    """
    shares: dict[int, float] = {}
    for gold, weight in zip(golds, weights, strict=True):
        for choice, count in Counter(gold).items():
            shares[choice] = shares.get(choice, 0.0) + weight * count / len(gold)
    return max(shares.values()) / sum(weights)
