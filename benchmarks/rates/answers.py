"""Documents of known truth: what the unedited model answers, and an edited one after a known true drop.

An answer changes for two reasons. *Flips* change answers and leave the true score as it is, but for
`Choices`, whose share of flips is that of all changes. *Damage* lowers it: the model guesses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy.special import ndtr, ndtri

Numbers = np.ndarray


@dataclass(frozen=True)
class Documents:
    """The results of one task: gold and predicted classes, or numbers [documents]; what a guess scores.

    `cluster` [documents] is the passage that documents share.
    """

    metric: str
    gold: Numbers
    answer: Numbers
    guess: float | None = None
    cluster: Numbers | None = None

    @property
    def score(self) -> float:
        """As lm-eval computes it."""
        right = self.gold == self.answer
        if self.metric == "f1":
            named = (self.gold == 1).sum() + (self.answer == 1).sum()
            return float(2 * (right & (self.gold == 1)).sum() / named) if named else 0.0
        if self.metric == "mcc":
            constant = len(set(self.gold)) < 2 or len(set(self.answer)) < 2
            return 0.0 if constant else float(np.corrcoef(self.gold, self.answer)[0, 1])
        return float(self.answer.mean() if self.metric == "exact_match" else right.mean())


Task = tuple[Documents, ...]  # a task, or the members of a group whose score is the mean of theirs


@dataclass(frozen=True)
class Fate:
    """What decides each document's change [2, documents]: uniform numbers."""

    drawn: Numbers

    @classmethod
    def draw(cls, rng: np.random.Generator, n: int, tests: int, correlation: float) -> list[Fate]:
        """Of each of several tests of the same documents, correlated between the tests."""
        shared = rng.standard_normal((2, n))
        own = rng.standard_normal((tests, 2, n))
        return [cls(ndtr(np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * one)) for one in own]

    def of(self, first: int, n: int) -> Fate:
        """Of some of the documents."""
        return Fate(self.drawn[:, first : first + n])


class Population(Protocol):
    """Where the documents of a task come from."""

    def draw(self, rng: np.random.Generator, n: int) -> Task:
        """The unedited model's results."""

    def edited(self, before: Task, fate: Fate, flips: float, drop: float) -> Task:
        """The results after a true drop, by damage but for `Choices`, and a share of flips."""

    def flips_of(self, drop: float) -> float:
        """The share of documents whose answer such a drop by damage changes: it comes on top of the flips."""


@dataclass(frozen=True)
class Choices:
    """Accuracy, with as many choices a document; `right` of the answers are."""

    right: float = 0.6
    choices: int = 4

    def draw(self, rng: np.random.Generator, n: int) -> Task:
        """See `Population`."""
        gold = rng.integers(0, self.choices, n)
        wrong = rng.random(n) >= self.right
        return (Documents("acc", gold, (gold + wrong) % self.choices, 1 / self.choices),)

    def edited(self, before: Task, fate: Fate, flips: float, drop: float) -> Task:
        """Of all documents, (flips + drop) / 2 turn wrong and (flips - drop) / 2 turn right."""
        [documents] = before
        right = documents.gold == documents.answer
        lost = fate.drawn[0] < (flips + drop) / 2 / self.right
        gained = fate.drawn[0] < (flips - drop) / 2 / (1 - self.right)
        now = np.where(right, ~lost, gained)
        return (
            replace(documents, answer=np.where(now, documents.gold, (documents.gold + 1) % self.choices)),
        )

    def flips_of(self, drop: float) -> float:
        """Guessing loses right answers and gains a few by luck; infinite for more than it can lower."""
        if drop > self.right - 1 / self.choices:
            return math.inf
        lost = self.right * (1 - 1 / self.choices)
        gained = (1 - self.right) / self.choices
        return drop * (lost + gained) / (lost - gained)


@dataclass(frozen=True)
class Classes:
    """F1 or Matthews' correlation of two classes, `positive` of them the first.

    Of the positive documents `found` are called so, and as many documents are called positive as are. Flips
    are the share of documents that are answered anew, as well as before; damage guesses positive as often as
    documents are.
    """

    metric: str
    positive: float
    found: float = 0.8

    @property
    def rates(self) -> Numbers:
        """The probability of a positive answer, to a negative and to a positive document."""
        return np.array([self.positive * (1 - self.found) / (1 - self.positive), self.found])

    def draw(self, rng: np.random.Generator, n: int) -> Task:
        """See `Population`."""
        gold = (rng.random(n) < self.positive).astype(int)
        answer = (rng.random(n) < self.rates[gold]).astype(int)
        guess = 2 * self.positive / (1 + self.positive) if self.metric == "f1" else 0.0
        return (Documents(self.metric, gold, answer, guess),)

    def edited(self, before: Task, fate: Fate, flips: float, drop: float) -> Task:
        """See `Population`."""
        [documents] = before
        damage = self.damage_of(drop)
        what, how = fate.drawn
        guess = how < self.positive
        anew = how < self.rates[documents.gold]
        now = np.where(what < damage, guess, np.where(what < damage + flips, anew, documents.answer))
        return (replace(documents, answer=now.astype(int)),)

    def damage_of(self, drop: float) -> float:
        """The share of documents that are guessed."""
        guess = self.positive if self.metric == "f1" else 0.0
        score = self.found if self.metric == "f1" else self.found - self.rates[0]
        return float(drop / (score - guess))

    def flips_of(self, drop: float) -> float:
        """None: `flips` are those that are answered anew."""
        return 0.0


@dataclass(frozen=True)
class Scores:
    """A number between 0 and 1 for each document. Flips change it by a normal one; damage makes it 0.

    `shift`: damage lowers every number by the same instead. `skewed`: flips change it by an exponential one.
    """

    shift: bool = False
    skewed: bool = False

    def draw(self, rng: np.random.Generator, n: int) -> Task:
        """See `Population`."""
        return (Documents("exact_match", np.zeros(n), rng.beta(2, 2, n)),)

    def edited(self, before: Task, fate: Fate, flips: float, drop: float) -> Task:
        """See `Population`."""
        [documents] = before
        what, how = fate.drawn
        changed = documents.answer + 0.2 * (-np.log(how) - 1 if self.skewed else ndtri(how))
        if self.shift:
            return (replace(documents, answer=changed - drop),)
        damage = 2 * drop
        now = np.where(what < damage, 0.0, np.where(what < damage + flips, changed, documents.answer))
        return (replace(documents, answer=now),)

    def flips_of(self, drop: float) -> float:
        """See `Population`."""
        return 0.0


@dataclass(frozen=True)
class Group:
    """The mean of the accuracies of tasks of these sizes, however many documents each has."""

    sizes: tuple[int, ...]
    of: Choices = Choices()

    def draw(self, rng: np.random.Generator, n: int) -> Task:
        """See `Population`; `n` is that of all members."""
        assert n == sum(self.sizes)
        return tuple(one for size in self.sizes for one in self.of.draw(rng, size))

    def edited(self, before: Task, fate: Fate, flips: float, drop: float) -> Task:
        """See `Population`: each member's drop is the group's."""
        firsts = np.cumsum((0, *self.sizes))
        return tuple(
            one
            for member, first, size in zip(before, firsts, self.sizes, strict=False)
            for one in self.of.edited((member,), fate.of(first, size), flips, drop)
        )

    def flips_of(self, drop: float) -> float:
        """See `Population`."""
        return self.of.flips_of(drop)


@dataclass(frozen=True)
class Passages:
    """Accuracy of documents that share a passage, as many each, and whose changes are correlated there."""

    correlation: float
    size: int = 5
    of: Choices = Choices()

    def draw(self, rng: np.random.Generator, n: int) -> Task:
        """See `Population`."""
        [documents] = self.of.draw(rng, n)
        return (replace(documents, cluster=np.arange(n) // self.size),)

    def edited(self, before: Task, fate: Fate, flips: float, drop: float) -> Task:
        """See `Choices`; the correlation is that of the normal variables that decide what changes."""
        own, other = ndtri(fate.drawn)
        shared = other[before[0].cluster * self.size]
        drawn = ndtr(np.sqrt(self.correlation) * shared + np.sqrt(1 - self.correlation) * own)
        return self.of.edited(before, Fate(np.stack([drawn, fate.drawn[1]])), flips, drop)

    def flips_of(self, drop: float) -> float:
        """See `Population`."""
        return self.of.flips_of(drop)


def score_of(task: Task) -> tuple[str, float]:
    """The metric and score of a task or group."""
    return task[0].metric, sum(member.score for member in task) / len(task)
