"""A task's documents at two times: which answers were right before, which are now, and which changed.

A score depends only on how often each combination (gold, before, now) occurs, so that documents are resampled
by drawing counts, at a cost that does not grow with the number of documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from stability.judge.noise.scores import Floats, Ints, score
from stability.judge.problems import CannotJudge
from stability.judge.words import documents_differ
from stability.record import TaskResult

CLASS_SCORES = ("f1", "mcc")  # the other scores depend only on whether an answer is right


@dataclass(frozen=True)
class PairedAnswers:
    """Documents whose result is an answer.

    `gold`, `before` and `now` [cells] are the combinations of classes that occur, `counts` [cells] how often
    each does. For a score that depends on right and wrong only, gold is 1, and an answer is 1 if it is right.
    `flipped` is the number of documents whose answer changed.
    """

    metric: str
    gold: Ints
    before: Ints
    now: Ints
    counts: Floats
    flipped: int

    @cached_property
    def n(self) -> int:
        """The number of documents."""
        return int(self.counts.sum())

    @property
    def is_proportion(self) -> bool:
        """Whether the score is the share of right answers."""
        return self.metric not in CLASS_SCORES

    def total(self, chosen: np.ndarray) -> int:
        """The number of documents in the chosen cells."""
        return int(self.counts[chosen].sum())

    @property
    def gains(self) -> int:
        """The number of documents that went from wrong to right."""
        return self.total((self.before != self.gold) & (self.now == self.gold))

    @property
    def losses(self) -> int:
        """The number of documents that went from right to wrong."""
        return self.total((self.before == self.gold) & (self.now != self.gold))

    @property
    def right(self) -> int:
        """The number of documents that were right before."""
        return self.total(self.before == self.gold)

    def scores(self, counts: Floats) -> tuple[Floats, Floats]:
        """The score before and the score now, for each row of counts [..., cells]."""
        return score(self.metric, self.gold, self.before, counts), score(
            self.metric, self.gold, self.now, counts
        )


@dataclass(frozen=True)
class PairedNumbers:
    """Documents whose result is a number [documents]; the score is their mean."""

    metric: str
    before: Floats
    now: Floats
    flipped: int

    is_proportion = False

    @property
    def n(self) -> int:
        """The number of documents."""
        return len(self.before)


Paired = PairedAnswers | PairedNumbers


def pair(
    task: str, before: TaskResult, now: TaskResult, when: str, reference: str = "the unedited model"
) -> Paired:
    """The same documents at two times, matched by id.

    Raises:
        CannotJudge: documents are missing, or are others than before, or cannot be scored.
    """
    _check(task, before, f"of {reference}")
    _check(task, now, when)
    first, second = np.array(before.doc_ids), np.array(now.doc_ids)
    order, later = np.argsort(first), np.argsort(second)
    if not np.array_equal(first[order], second[later]):
        alone = sorted(set(before.doc_ids) ^ set(now.doc_ids))
        raise CannotJudge(
            documents_differ(
                task,
                f"{len(alone)} documents were answered at one time only, such as document {alone[0]}; "
                f"{reference} had {before.n}, {when} there are {now.n}",
            )
        )
    if before.predicted and now.predicted:
        gold = np.array(before.gold)[order]
        if not np.array_equal(gold, np.array(now.gold)[later]):
            raise CannotJudge(
                documents_differ(task, f"the right answers {when} are not those of {reference}")
            )
        return _answers(
            task, before.metric, gold, np.array(before.predicted)[order], np.array(now.predicted)[later]
        )
    if not (before.values and now.values):
        raise CannotJudge(
            documents_differ(task, "answers at one time and numbers at the other cannot be paired")
        )
    numbers = np.array(before.values)[order], np.array(now.values)[later]
    if not all(np.isfinite(part).all() for part in numbers):
        raise CannotJudge(documents_differ(task, f"the result of a document is not finite {when}"))
    flipped = int((numbers[0] != numbers[1]).sum())
    if all(np.isin(part, (0.0, 1.0)).all() for part in numbers):
        right = [part.astype(np.int64) for part in numbers]
        return _count(before.metric, np.ones_like(right[0]), right[0], right[1], flipped)
    return PairedNumbers(before.metric, *numbers, flipped=flipped)


def _check(task: str, result: TaskResult, when: str) -> None:
    if not result.doc_ids:
        raise CannotJudge(
            documents_differ(task, f"no results by document {when}; noise cannot be told without them")
        )
    parts = (result.gold, result.predicted) if result.predicted else (result.values,)
    if {len(part) for part in parts} != {len(set(result.doc_ids))}:
        raise CannotJudge(documents_differ(task, f"documents and results {when} differ in number"))


def _answers(task: str, metric: str, gold: Ints, before: Ints, now: Ints) -> PairedAnswers:
    flipped = int((before != now).sum())
    if metric not in CLASS_SCORES:
        right = (before == gold).astype(np.int64), (now == gold).astype(np.int64)
        return _count(metric, np.ones_like(right[0]), *right, flipped)
    classes = min(part.min() for part in (gold, before, now)), max(part.max() for part in (gold, before, now))
    if classes[0] < 0 or (metric == "f1" and classes[1] > 1):
        known = "0 and 1, the positive one" if metric == "f1" else "0, 1, 2 ..."
        raise CannotJudge(
            documents_differ(task, f"{metric} is known for classes {known}, got {classes[0]}-{classes[1]}")
        )
    return _count(metric, gold, before, now, flipped)


def _count(metric: str, gold: Ints, before: Ints, now: Ints, flipped: int) -> PairedAnswers:
    base = int(max(gold.max(), before.max(), now.max())) + 1
    cells, counts = np.unique((gold * base + before) * base + now, return_counts=True)
    return PairedAnswers(
        metric, cells // base**2, cells // base % base, cells % base, counts.astype(np.float64), flipped
    )
