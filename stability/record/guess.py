"""What a guess scores: the accuracy of always giving the one answer that is right most often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

CONFIDENCE = 0.95  # that an answer is right more often than one in k, of all k answers together


@dataclass(frozen=True)
class Constants:
    """How well single answers do over all `n` documents of a task.

    `shares` has the accuracy of always giving the first choice, of always giving the second, and so on;
    `blind` that of an answer drawn from the k choices, the mean of 1/k over the documents.
    """

    shares: tuple[float, ...]
    blind: float
    n: int

    @classmethod
    def of(cls, golds: Sequence[int], choices: Sequence[Sequence[str]]) -> Constants | None:
        """Of documents' right choices; None if there are none.

        Where the choices are not the same for each document, the first of them has nothing in common but its
        place, and no single answer is better than a blind one.
        """
        if not golds:
            return None
        n = len(golds)
        blind = sum(1 / len(each) for each in choices) / n
        if len({tuple(each) for each in choices}) > 1:
            return cls((), blind, n)
        return cls.of_labels(golds, len(choices[0]))

    @classmethod
    def of_labels(cls, golds: Sequence[int], labels: int) -> Constants:
        """Of documents' right labels, the same `labels` for each."""
        found = Counter(golds)
        return cls(tuple(found[label] / len(golds) for label in range(labels)), 1 / labels, len(golds))

    @property
    def guess(self) -> float:
        """The best single answer's accuracy; a blind one's if that is not surely less."""
        if not self.shares:
            return self.blind
        best = max(self.shares)
        errors = NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / len(self.shares))
        return (
            best if best > self.blind + errors * sqrt(self.blind * (1 - self.blind) / self.n) else self.blind
        )


def pooled(tasks: Sequence[Constants], weights: Sequence[float]) -> Constants:
    """Single answers to several tasks' documents together, one weight a task."""
    total = sum(weights)
    shares = [0.0] * max(len(task.shares) for task in tasks)
    for task, weight in zip(tasks, weights, strict=True):
        scores = task.shares or (task.blind,) * len(shares)
        for choice, share in enumerate(scores):
            shares[choice] += weight * share / total
    blind = sum(weight * task.blind for task, weight in zip(tasks, weights, strict=True)) / total
    return Constants(tuple(shares), blind, sum(task.n for task in tasks))


def best_constant(golds: Sequence[Sequence[int]], weights: Sequence[float]) -> float:
    """The accuracy of the best single answer over several tasks' right choices, one weight a task.

    One answer for all of them: a best one for each would score the higher, the fewer documents each has.
    """
    shares: dict[int, float] = {}
    for gold, weight in zip(golds, weights, strict=True):
        for choice, count in Counter(gold).items():
            shares[choice] = shares.get(choice, 0.0) + weight * count / len(gold)
    return max(shares.values()) / sum(weights)
