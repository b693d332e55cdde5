"""Paired bootstrap of a change of score, stratified by task, with bias-corrected accelerated (BCa) limits.

For scores without a closed-form test: F1, Matthews' correlation, means over different tasks. BCa (Efron,
Journal of the American Statistical Association 82, 1987) is used instead of plain percentiles because F1 and
MCC are skewed where few documents are positive; its two corrections cost nothing here. Beyond the outermost
few replicates a normal tail continues the distribution, without a step. Holm's levels are that far out, and
a thousand replicates are too few to count a probability of one in ten thousand.

Replicates of n documents vary too little by √((n - 1) / n), and a standard deviation that is estimated from
few documents is itself uncertain. The former is made up for document set by document set, and limits are
taken at Student's t instead of the normal score (Hesterberg, The American Statistician 69, 2015, section 4).
Where few documents changed, others might have: see `unseen`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import log_ndtr, ndtr, ndtri, ndtri_exp, stdtr, stdtrit

from stability.judge.noise.paired import Paired, PairedNumbers
from stability.judge.noise.scores import Floats

REPLICATES = 4000
TAIL = 10 / REPLICATES  # the share of replicates below which the normal tail takes over
NUDGE = 1e-6  # step in a document's weight, for the numerical derivative of the score
BLOCK = 2**22  # random numbers drawn at once


@dataclass(frozen=True)
class Influence:
    """Moments of one document's influence on the change, of `n` documents; infinitesimal jackknife.

    `changed` of them have another result than before. Of clusters, if these are resampled.
    """

    second: float
    third: float
    fourth: float
    n: int
    changed: int

    @property
    def variance(self) -> float:
        """Of the change; unbiased for a mean."""
        return self.second / (self.n - 1) if self.n > 1 else 0.0

    @property
    def degrees(self) -> float:
        """Degrees of freedom of the variance: n - 1, or fewer where a few documents make it up.

        A variance estimated from documents of kurtosis k varies as one of 2n / (k - 1) degrees does.
        """
        if self.second == 0 or self.n < 2:
            return 1.0
        excess = self.fourth / self.second**2 - 1
        return float(np.clip(2 * self.n / max(excess, 1e-12), 1.0, self.n - 1))


@dataclass(frozen=True)
class Replicates:
    """Scores [replicates] of resampled documents, before the edits and now."""

    before: Floats
    now: Floats

    @property
    def change(self) -> Floats:
        """Of each replicate."""
        return self.now - self.before


def widened(replicates: Floats, estimate: float, n: int) -> Floats:
    """The replicates of a score of n documents, as far from it as those of the population would be."""
    return estimate + (replicates - estimate) * np.sqrt(n / (n - 1)) if n > 1 else replicates


def unseen(influences: Sequence[tuple[float, Influence]]) -> float:
    """How many times wider limits are if two more documents had changed, one for better and one for worse.

    By as much as those that did, of members with these weights together: the adjusted Wald interval of a
    paired proportion (Bonett and Price, Journal of Educational and Behavioral Statistics 37, 2012). It is 1
    if all changed. Where none did there is no such number: see `NoChange`.
    """
    parts = [(weight**2 / one.n, one.changed / one.n) for weight, one in influences]
    n = equal_weights(influences)
    changed = n**2 * sum(part * share for part, share in parts)
    return math.sqrt((1 + 2 / changed) * n / (n + 2))


def equal_weights(influences: Sequence[tuple[float, Influence]]) -> float:
    """The number of documents whose mean, at equal weights, is as certain as that of the members."""
    return 1 / sum(weight**2 / one.n for weight, one in influences)


def resample(paired: Paired, rng: np.random.Generator) -> Replicates:
    """Draw documents with replacement, or clusters of them, keeping each document's two results together."""
    if not isinstance(paired, PairedNumbers):
        if paired.by_cluster is None:
            counts = rng.multinomial(paired.n, paired.counts / paired.n, size=REPLICATES).astype(np.float64)
        else:
            counts = np.concatenate([drawn @ paired.by_cluster for drawn in _draws(paired.units, rng)])
        return Replicates(*paired.scores(counts))
    before, now, sizes = (paired.totals(part) for part in (paired.before, paired.now, np.ones(paired.n)))
    parts = [np.stack([drawn @ before, drawn @ now]) / (drawn @ sizes) for drawn in _draws(paired.units, rng)]
    return Replicates(*np.concatenate(parts, axis=1))


def _draws(units: int, rng: np.random.Generator) -> Iterator[Floats]:
    """How often each unit is drawn [replicates, units], in blocks of replicates."""
    rows = max(1, BLOCK // units)
    for first in range(0, REPLICATES, rows):
        drawn = rng.integers(0, units, size=(min(rows, REPLICATES - first), units))
        offsets = units * np.arange(len(drawn))[:, None]
        counts = np.bincount((drawn + offsets).ravel(), minlength=drawn.size)
        yield counts.reshape(drawn.shape).astype(np.float64)


def influences(score: Callable[[Floats], Floats], shares: Floats) -> Floats:
    """The derivative of a score of cell shares [..., cells] by the weight of each cell: [..., cells]."""
    cells = shares.shape[-1]
    moved = shares[..., None, :] * (1 - NUDGE) + NUDGE * np.eye(cells)
    return (score(moved) - score(shares)[..., None]) / NUDGE


def influence(paired: Paired) -> Influence:
    """The moments of the influence on the change, of documents or of clusters of them."""
    if isinstance(paired, PairedNumbers):
        change = paired.now - paired.before
        effect = paired.totals(change - change.mean()) * (paired.units / paired.n)
        weight = np.full(paired.units, 1 / paired.units)
    else:

        def difference(counts: Floats) -> Floats:
            before, now = paired.scores(counts)
            return now - before

        weight = paired.counts / paired.n
        effect = influences(difference, weight)
        if paired.by_cluster is not None:
            effect = paired.by_cluster @ effect * (paired.units / paired.n)
            weight = np.full(paired.units, 1 / paired.units)
    second, third, fourth = (float(weight @ effect**power) for power in (2, 3, 4))
    return Influence(second, third, fourth, paired.units, paired.changed_units)


class Distribution:
    """The distribution of replicates [n]: smoothed between them, continued by a normal tail beyond."""

    def __init__(self, replicates: Floats) -> None:
        values, counts = np.unique(replicates, return_counts=True)
        below: Floats = (np.cumsum(counts) - counts / 2) / len(replicates)
        self.mean = float(replicates.mean()) if len(values) > 1 else float(values[0])
        self.deviation = float(replicates.std()) if len(values) > 1 else 0.0
        inside = (below >= TAIL) & (below <= 1 - TAIL)
        if not inside.any():
            inside[np.argmin(np.abs(below - 0.5))] = True
        self.values, self.below = values[inside], below[inside]

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Standard scores of the outermost kept values."""
        spread = self.deviation or 1.0
        return (self.values[0] - self.mean) / spread, (self.values[-1] - self.mean) / spread

    def score_of(self, value: float) -> float:
        """The standard normal score of the probability of a value no higher."""
        if self.deviation == 0:
            return float(np.sign(value - self.mean)) * np.inf if value != self.mean else 0.0
        score = (value - self.mean) / self.deviation
        first, last = self.ends
        if value < self.values[0]:
            return float(ndtri_exp(np.log(self.below[0]) + log_ndtr(score) - log_ndtr(first)))
        if value > self.values[-1]:
            return -float(ndtri_exp(np.log1p(-self.below[-1]) + log_ndtr(-score) - log_ndtr(-last)))
        return float(ndtri(np.interp(value, self.values, self.below)))

    def value_at(self, score: float) -> float:
        """The value that has this standard normal score."""
        if self.deviation == 0:
            return self.mean
        first, last = self.ends
        if score < ndtri(self.below[0]):
            rest = ndtri_exp(log_ndtr(score) - np.log(self.below[0]) + log_ndtr(first))
            return float(self.mean + self.deviation * rest)
        if score > ndtri(self.below[-1]):
            rest = ndtri_exp(log_ndtr(-score) - np.log1p(-self.below[-1]) + log_ndtr(-last))
            return float(self.mean - self.deviation * rest)
        return float(np.interp(ndtr(score), self.below, self.values))

    def share_below(self, value: float) -> float:
        """The probability of a value no higher."""
        return float(ndtr(self.score_of(value)))

    def quantile(self, share: float) -> float:
        """The value below which this share of the distribution is."""
        return self.value_at(float(ndtri(share)))


@dataclass(frozen=True)
class Bca:
    """Limits and tests of a statistic from its bootstrap distribution.

    `degrees` are those of Student's t, by whose scores the limits are taken instead of by normal ones.
    """

    distribution: Distribution
    bias: float
    acceleration: float
    degrees: float = np.inf

    @classmethod
    def of(
        cls,
        replicates: Floats,
        estimate: float,
        acceleration: float,
        degrees: float = np.inf,
        size: float = 1.0,
    ) -> Bca:
        """From replicates [n] of a statistic that was estimated as `estimate`.

        `size` is that of the numbers whose difference it is: what is nearer than rounding of them is equal.
        """
        near = 1e-12 * size
        share = float(
            (replicates < estimate - near).mean() + (np.abs(replicates - estimate) <= near).mean() / 2
        )
        bias = float(ndtri(np.clip(share, TAIL, 1 - TAIL)))
        return cls(Distribution(replicates), bias, acceleration, degrees)

    def limit(self, confidence: float) -> float:
        """One-sided upper limit at `confidence`; the lower one is that of 1 - confidence."""
        score = self.bias + float(ndtri(confidence))
        room = 1 - self.acceleration * score
        if room <= 0:
            return self.distribution.quantile(1.0 if score > 0 else 0.0)
        return self.distribution.value_at(students(self.bias + score / room, self.degrees))

    def p_value(self, hypothesis: float) -> float:
        """One-sided: the smallest alpha whose upper limit at 1 - alpha is still at or below `hypothesis`."""
        score = normal(self.distribution.score_of(hypothesis), self.degrees) - self.bias
        if np.isinf(score):
            return 0.0 if score > 0 else 1.0
        room = 1 + self.acceleration * score
        if room <= 0:
            return 0.0 if score > 0 else 1.0
        return float(ndtr(self.bias - score / room))


def students(score: float, degrees: float) -> float:
    """Student's score of the probability that a normal score has."""
    if np.isinf(degrees) or np.isinf(score):
        return score
    return float(np.sign(score) * -stdtrit(degrees, ndtr(-abs(score))))


def normal(score: float, degrees: float) -> float:
    """The normal score of the probability that a Student's score has."""
    if np.isinf(degrees) or np.isinf(score):
        return score
    return float(np.sign(score) * -ndtri(stdtr(degrees, -abs(score))))
