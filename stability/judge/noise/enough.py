"""Whether there are enough documents for a bootstrap, below which its stated rates do not hold.

Simulated at a true drop of exactly the tolerance, see docs/statistics.md.
"""

from __future__ import annotations

import math

import numpy as np

from stability.judge import words
from stability.judge.noise.drops import ResampledDrop
from stability.judge.noise.paired import CLASS_SCORES, Paired, PairedNumbers
from stability.judge.problems import CannotJudge

DOCUMENTS = 5  # or clusters, of each of a group's tasks that are resampled apart
CLUSTERS = 10
NUMBERS = {3: 30, 15: 50, 75: 100}  # documents, or clusters, of a mean of numbers, in so many tests at most
OF_MORE = 200  # documents of a mean of numbers, in more tests
OF_THE_RARER = 25  # documents of F1's positive class, or outside the most frequent one of MCC's
EQUAL = 1e-9  # sums of weights that differ by less are the same


def numbers_needed(tests: int) -> int:
    """The documents of a mean of numbers that is one of so many tests."""
    return next((documents for most, documents in NUMBERS.items() if tests <= most), OF_MORE)


def check_enough(task: str, drop: ResampledDrop, tests: int = 1) -> None:
    """Check that the documents of a resampled drop allow a test, which is one of so many.

    Raises:
        CannotJudge: they are too few, or all changed by the same amount.
    """
    least = min((paired for _, paired in drop.members), key=lambda paired: paired.units)
    is_clustered = any(paired.units < paired.n for _, paired in drop.members)
    needed = numbers_needed(tests) if drop.has_numbers else CLUSTERS if is_clustered else DOCUMENTS
    unit, is_group = "cluster" if is_clustered else "document", len(drop.members) > 1
    if is_group and least.units < DOCUMENTS:
        raise CannotJudge(words.too_few_to_resample(task, least.units, unit, DOCUMENTS, of_each=True))
    together = math.floor(drop.equal_weights + EQUAL)
    if together < needed:
        of = tests if drop.has_numbers and needed > numbers_needed(1) else 1
        raise CannotJudge(
            words.too_few_to_resample(task, together, unit, needed, at_equal_weights=is_group, tests=of)
        )
    rarer = [(paired.metric, rarer_class(paired)) for _, paired in drop.members if is_by_class(paired)]
    metric, fewest = min(rarer, key=lambda one: one[1], default=("", OF_THE_RARER))
    if fewest < OF_THE_RARER:
        raise CannotJudge(words.too_few_of_a_class(task, metric, fewest, OF_THE_RARER))
    if drop.is_alike and drop.now != drop.before:
        raise CannotJudge(words.no_deviation(task, drop.now - drop.before, drop.n))


def is_by_class(paired: Paired) -> bool:
    """Whether the score depends on which class an answer is."""
    return not isinstance(paired, PairedNumbers) and paired.metric in CLASS_SCORES


def rarer_class(paired: Paired) -> int:
    """Documents whose right answer is F1's positive class, or not the most frequent one."""
    assert not isinstance(paired, PairedNumbers)
    if paired.metric == "f1":
        return paired.total(paired.gold == 1)
    return paired.n - max(paired.total(paired.gold == one) for one in np.unique(paired.gold))
