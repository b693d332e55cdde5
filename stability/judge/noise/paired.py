"""A task's documents at two times: which answers were right before, which are now, and which changed.

A score depends only on how often each combination (gold, before, now) occurs, so that documents are resampled
by drawing counts, at a cost that does not grow with the number of documents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from stability.judge import words
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
    `flipped` is the number of documents whose answer changed, `guess` the share of right answers among
    answers at random: 0 if the choices are not known. `by_cluster` [clusters, cells] has the counts of each
    cluster of documents, if they are not independent.
    """

    metric: str
    gold: Ints
    before: Ints
    now: Ints
    counts: Floats
    flipped: int
    by_cluster: Floats | None = None
    guess: float = 0.0

    @cached_property
    def n(self) -> int:
        """The number of documents."""
        return int(self.counts.sum())

    @property
    def units(self) -> int:
        """What is resampled: clusters, or documents."""
        return self.n if self.by_cluster is None else len(self.by_cluster)

    @property
    def changed_units(self) -> int:
        """Units of which an answer changed, for better or worse."""
        changed = self.before != self.now
        if self.by_cluster is None:
            return self.total(changed)
        return int((self.by_cluster[:, changed].sum(axis=1) > 0).sum())

    @property
    def is_proportion(self) -> bool:
        """Whether the score is the share of right answers, of independent documents."""
        return self.metric not in CLASS_SCORES and self.by_cluster is None

    def total(self, chosen: np.ndarray) -> int:
        """The number of documents in the chosen cells."""
        return int(self.counts[chosen].sum())

    @property
    def size(self) -> float:
        """The size of what is added up to the score."""
        return 1.0

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
    """Documents whose result is a number [documents]; the score is their mean.

    `cluster` [documents] has the cluster of each, counted from 0, if they are not independent.
    """

    metric: str
    before: Floats
    now: Floats
    flipped: int
    cluster: Ints | None = None

    is_proportion = False

    @property
    def n(self) -> int:
        """The number of documents."""
        return len(self.before)

    @property
    def units(self) -> int:
        """What is resampled: clusters, or documents."""
        return self.n if self.cluster is None else int(self.cluster.max()) + 1

    @property
    def changed_units(self) -> int:
        """Units of which a number changed."""
        return int((self.totals((self.before != self.now).astype(np.float64)) > 0).sum())

    def totals(self, numbers: Floats) -> Floats:
        """The sum of each cluster's numbers [clusters]; without clusters the numbers themselves."""
        if self.cluster is None:
            return numbers
        return np.bincount(self.cluster, weights=numbers).astype(np.float64)

    @property
    def size(self) -> float:
        """The size of what is added up to the score: the mean without signs, the larger of the two."""
        return float(max(np.abs(self.before).mean(), np.abs(self.now).mean()))


Paired = PairedAnswers | PairedNumbers


def pair(
    task: str,
    before: TaskResult,
    now: TaskResult,
    when: str,
    reference: str = "the unedited model",
    cluster: str | None = None,
) -> Paired:
    """The same documents at two times, matched by id. `cluster` names the field that dependent ones share.

    Raises:
        CannotJudge: documents are missing, or are others than before, or cannot be scored; or the record does
            not have that field of theirs.
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
    clusters = _clusters(task, now, cluster)[later] if cluster else None
    if before.predicted and now.predicted:
        gold = np.array(before.gold)[order]
        if not np.array_equal(gold, np.array(now.gold)[later]):
            raise CannotJudge(
                documents_differ(task, f"the right answers {when} are not those of {reference}")
            )
        return _answers(
            task,
            before.metric,
            gold,
            np.array(before.predicted)[order],
            np.array(now.predicted)[later],
            clusters,
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
        return _count(before.metric, np.ones_like(right[0]), right[0], right[1], flipped, clusters)
    return PairedNumbers(before.metric, *numbers, flipped=flipped, cluster=clusters)


def _clusters(task: str, result: TaskResult, name: str) -> Ints:
    """The cluster of each document, counted from 0."""
    if len(result.clusters.get(name, ())) != len(result.doc_ids):
        raise CannotJudge(words.no_cluster(task, name, sorted(result.clusters)))
    return np.unique(np.array(result.clusters[name]), return_inverse=True)[1].astype(np.int64)


def _check(task: str, result: TaskResult, when: str) -> None:
    if not result.doc_ids:
        raise CannotJudge(
            documents_differ(task, f"no results by document {when}; noise cannot be told without them")
        )
    parts = (result.gold, result.predicted) if result.predicted else (result.values,)
    if {len(part) for part in (result.doc_ids, *parts)} != {len(set(result.doc_ids))}:
        raise CannotJudge(documents_differ(task, f"documents and results {when} differ in number"))


def _answers(
    task: str, metric: str, gold: Ints, before: Ints, now: Ints, clusters: Ints | None
) -> PairedAnswers:
    flipped = int((before != now).sum())
    if metric not in CLASS_SCORES:
        right = (before == gold).astype(np.int64), (now == gold).astype(np.int64)
        choices = max(2, *(int(part.max()) + 1 for part in (gold, before, now)))
        counted = _count(metric, np.ones_like(right[0]), *right, flipped, clusters)
        return replace(counted, guess=1 / choices)
    classes = min(part.min() for part in (gold, before, now)), max(part.max() for part in (gold, before, now))
    if classes[0] < 0 or (metric == "f1" and classes[1] > 1):
        known = "0 and 1, the positive one" if metric == "f1" else "0, 1, 2 ..."
        raise CannotJudge(
            documents_differ(task, f"{metric} is known for classes {known}, got {classes[0]}-{classes[1]}")
        )
    return _count(metric, gold, before, now, flipped, clusters)


def _count(
    metric: str, gold: Ints, before: Ints, now: Ints, flipped: int, clusters: Ints | None = None
) -> PairedAnswers:
    base = int(max(gold.max(), before.max(), now.max())) + 1
    cells, where, counts = np.unique(
        (gold * base + before) * base + now, return_inverse=True, return_counts=True
    )
    by_cluster = None
    if clusters is not None:
        by_cluster = np.zeros((int(clusters.max()) + 1, len(cells)))
        np.add.at(by_cluster, (clusters, where), 1)
    return PairedAnswers(
        metric,
        cells // base**2,
        cells // base % base,
        cells % base,
        counts.astype(np.float64),
        flipped,
        by_cluster,
    )
