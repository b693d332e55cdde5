"""Whether there are enough documents for a bootstrap, below which its stated rates do not hold.

Simulated at a true drop of exactly the tolerance, see docs/statistics.md.
"""

from __future__ import annotations

import numpy as np

from stability.judge import words
from stability.judge.noise.drops import ResampledDrop
from stability.judge.noise.paired import CLASS_SCORES, Paired, PairedNumbers
from stability.judge.problems import CannotJudge

DOCUMENTS = 5  # or clusters, of a task, or of each of a group's that are resampled apart
OF_THE_RARER = 25  # documents of F1's positive class, or outside the most frequent one of MCC's


def check_enough(task: str, drop: ResampledDrop) -> None:
    """Check that the documents of a resampled drop allow a test.

    Raises:
        CannotJudge: they are too few, or all changed by the same amount.
    """
    least = min((paired for _, paired in drop.members), key=lambda paired: paired.units)
    if least.units < DOCUMENTS:
        unit = "cluster" if least.units < least.n else "document"
        raise CannotJudge(words.too_few_to_resample(task, least.units, unit, DOCUMENTS, len(drop.members)))
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
