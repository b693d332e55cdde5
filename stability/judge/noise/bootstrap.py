"""Paired bootstrap of a change of score, stratified by task, with bias-corrected accelerated (BCa) limits.

For scores without a closed-form test: F1, Matthews' correlation, means over different tasks. BCa (Efron,
Journal of the American Statistical Association 82, 1987) is used instead of plain percentiles because F1 and
MCC are skewed where few documents are positive; its two corrections cost nothing here. Beyond the outermost
few replicates a normal tail continues the distribution, without a step. Holm's levels are that far out, and
a thousand replicates are too few to count a probability of one in ten thousand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import ndtr, ndtri

from stability.judge.noise.paired import Paired, PairedNumbers
from stability.judge.noise.scores import Floats

REPLICATES = 4000
TAIL = 10 / REPLICATES  # the share of replicates below which the normal tail takes over
NUDGE = 1e-6  # step in a document's weight, for the numerical derivative of the score
BLOCK = 2**22  # random numbers drawn at once


@dataclass(frozen=True)
class Influence:
    """Second and third moment of one document's influence on the change; infinitesimal jackknife."""

    second: float
    third: float
    n: int


@dataclass(frozen=True)
class Replicates:
    """Scores [replicates] of resampled documents, before the edits and now."""

    before: Floats
    now: Floats


def resample(paired: Paired, rng: np.random.Generator) -> Replicates:
    """Draw the documents with replacement, keeping the two results of each document together."""
    if not isinstance(paired, PairedNumbers):
        shares = paired.counts / paired.counts.sum()
        counts = rng.multinomial(paired.n, shares, size=REPLICATES)
        return Replicates(*paired.scores(counts.astype(np.float64)))
    before, now = [], []
    rows = max(1, BLOCK // paired.n)
    for first in range(0, REPLICATES, rows):
        drawn = rng.integers(0, paired.n, size=(min(rows, REPLICATES - first), paired.n))
        before.append(paired.before[drawn].mean(axis=1))
        now.append(paired.now[drawn].mean(axis=1))
    return Replicates(np.concatenate(before), np.concatenate(now))


def influences(score: Callable[[Floats], Floats], shares: Floats) -> Floats:
    """The derivative of a score of cell shares [..., cells] by the weight of each cell: [..., cells]."""
    cells = shares.shape[-1]
    moved = shares[..., None, :] * (1 - NUDGE) + NUDGE * np.eye(cells)
    return (score(moved) - score(shares)[..., None]) / NUDGE


def influence(paired: Paired) -> Influence:
    """The moments of the documents' influence on the change."""
    if isinstance(paired, PairedNumbers):
        change = paired.now - paired.before
        effect, weight = change - change.mean(), np.full(paired.n, 1 / paired.n)
    else:

        def difference(counts: Floats) -> Floats:
            before, now = paired.scores(counts)
            return now - before

        weight = paired.counts / paired.counts.sum()
        effect = influences(difference, weight)
    return Influence(float(weight @ effect**2), float(weight @ effect**3), paired.n)


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

    def share_below(self, value: float) -> float:
        """The probability of a value no higher."""
        if self.deviation == 0:
            return float(np.sign(value - self.mean) + 1) / 2
        score = (value - self.mean) / self.deviation
        if value < self.values[0]:
            return float(self.below[0] * ndtr(score) / ndtr(self.ends[0]))
        if value > self.values[-1]:
            return float(1 - (1 - self.below[-1]) * ndtr(-score) / ndtr(-self.ends[1]))
        return float(np.interp(value, self.values, self.below))

    def quantile(self, share: float) -> float:
        """The value below which this share of the distribution is."""
        if self.deviation == 0:
            return self.mean
        if share < self.below[0]:
            return float(self.mean + self.deviation * ndtri(share / self.below[0] * ndtr(self.ends[0])))
        if share > self.below[-1]:
            rest = (1 - share) / (1 - self.below[-1]) * ndtr(-self.ends[1])
            return float(self.mean - self.deviation * ndtri(rest))
        return float(np.interp(share, self.below, self.values))


@dataclass(frozen=True)
class Bca:
    """Limits and tests of a statistic from its bootstrap distribution."""

    distribution: Distribution
    bias: float
    acceleration: float

    @classmethod
    def of(cls, replicates: Floats, estimate: float, acceleration: float) -> Bca:
        """From replicates [n] of a statistic that was estimated as `estimate`."""
        near = 1e-12
        share = float(
            (replicates < estimate - near).mean() + (np.abs(replicates - estimate) <= near).mean() / 2
        )
        return cls(Distribution(replicates), float(ndtri(np.clip(share, TAIL, 1 - TAIL))), acceleration)

    def limit(self, confidence: float) -> float:
        """One-sided upper limit at `confidence`; the lower one is that of 1 - confidence."""
        score = self.bias + float(ndtri(confidence))
        room = 1 - self.acceleration * score
        if room <= 0:
            return self.distribution.quantile(1.0 if score > 0 else 0.0)
        return self.distribution.quantile(float(ndtr(self.bias + score / room)))

    def p_value(self, hypothesis: float) -> float:
        """One-sided: the smallest alpha whose upper limit at 1 - alpha is still at or below `hypothesis`."""
        score = float(ndtri(self.distribution.share_below(hypothesis))) - self.bias
        if np.isinf(score):
            return 0.0 if score > 0 else 1.0
        room = 1 + self.acceleration * score
        if room <= 0:
            return 0.0 if score > 0 else 1.0
        return float(ndtr(self.bias - score / room))
