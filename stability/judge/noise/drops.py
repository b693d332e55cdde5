"""How much a task's score dropped, how certain that is, and the smallest drop its documents could show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Protocol

import numpy as np
from scipy.special import ndtri

from stability.judge.noise import exact, proportions
from stability.judge.noise.bootstrap import (
    Bca,
    Distribution,
    Influence,
    Replicates,
    equal_weights,
    influence,
    resample,
    unseen,
    widened,
)
from stability.judge.noise.damage import PATH, by_guesses, by_losses
from stability.judge.noise.no_change import NoChange
from stability.judge.noise.paired import Paired, PairedAnswers, PairedNumbers
from stability.judge.noise.scores import Floats
from stability.judge.noise.skewed import ChangeTest, Johnson, MoreCautious

POWER = 0.80
POINTS = 24  # drops whose power is computed at a time
ALIKE = 1e-9  # standard errors below this share of the score are rounding


class Drop(Protocol):
    """A score before the edits and now, on the same documents."""

    @property
    def n(self) -> int:
        """The number of documents."""

    @property
    def before(self) -> float:
        """The score before."""

    @property
    def now(self) -> float:
        """The score now."""

    @property
    def flip_rate(self) -> float:
        """The share of documents whose answer changed."""

    @property
    def error(self) -> float:
        """The standard error of the change."""

    def p_value(self, tolerance: float) -> float:
        """The probability of such a drop if the true drop is at most `tolerance`; one-sided."""

    def exact_p_value(self, tolerance: float) -> float:
        """The same, exactly where that can be had: what decides whether a drop fails."""

    def no_change_p_value(self) -> float:
        """Two-sided: the probability of a change at least this large either way if there is truly none."""

    def limits(self, confidence: float) -> tuple[float, float]:
        """Lower and upper limit of the change, each one-sided at `confidence`."""

    def detects(self, tolerance: float, alpha: float) -> float:
        """The smallest true drop that fails the test at `alpha` with a probability of 0.8.

        Assumed is that the answers keep changing as often as they do now, and that what lowers the score
        comes on top and makes answers guesses: a lost answer is luckily right, a wrong one luckily gained.
        Infinite if even that of all answers would not be detected.
        """

    def documents(self, drop: float, tolerance: float, alpha: float) -> float:
        """How many documents would make `detects` that drop."""

    def lowest_before(self, confidence: float) -> float:
        """One-sided lower limit of the score before."""

    def told_from(self, guess: float, confidence: float) -> float:
        """The smallest true score before whose lower limit is above `guess` with that probability; or inf."""


@dataclass(frozen=True)
class ProportionDrop:
    """A share of right answers: exact counts, and Tango's score test."""

    n: int
    gains: int
    losses: int
    right: int
    flipped: int
    guess: float = 0.0  # the share of right answers among guesses

    @classmethod
    def of(cls, members: Sequence[PairedAnswers]) -> ProportionDrop:
        """The documents of one task, or of several taken together."""
        return cls(
            n=sum(member.n for member in members),
            gains=sum(member.gains for member in members),
            losses=sum(member.losses for member in members),
            right=sum(member.right for member in members),
            flipped=sum(member.flipped for member in members),
            guess=sum(member.guess * member.n for member in members) / sum(member.n for member in members),
        )

    @property
    def before(self) -> float:
        """The share that was right before."""
        return self.right / self.n

    @property
    def now(self) -> float:
        """The share that is right now."""
        return (self.right + self.gains - self.losses) / self.n

    @property
    def flip_rate(self) -> float:
        """The share of documents whose answer changed."""
        return self.flipped / self.n

    @property
    def error(self) -> float:
        """See `Drop`; if there is truly no change."""
        return math.sqrt(self.gains + self.losses) / self.n

    def p_value(self, tolerance: float) -> float:
        """See `Drop`."""
        return float(proportions.drop_p_value(self.gains, self.losses, self.n, tolerance))

    def exact_p_value(self, tolerance: float) -> float:
        """See `Drop`."""
        return exact.drop_p_value(self.gains, self.losses, self.n, tolerance)

    def no_change_p_value(self) -> float:
        """See `Drop`; exact."""
        fewer, more = sorted((self.gains, self.losses))
        return min(1.0, 2 * exact.drop_p_value(fewer, more, self.n, 0.0))

    def limits(self, confidence: float) -> tuple[float, float]:
        """See `Drop`."""
        return proportions.limits(self.gains, self.losses, self.n, confidence)

    def detects(self, tolerance: float, alpha: float) -> float:
        """See `Drop`; by the power of the exact test."""
        return detects(self, tolerance, alpha)

    def documents(self, drop: float, tolerance: float, alpha: float) -> float:
        """See `Drop`; by the score that the exact test rejects, of about as many documents."""
        share = self.discordance(np.array(drop))
        tested = proportions.variance((share - drop) / 2, (share + drop) / 2, np.array(-tolerance))
        critical, found = float(ndtri(alpha)), 0.0
        for _ in range(2):
            reach = -critical * np.sqrt(tested) + ndtri(POWER) * np.sqrt(share - drop**2)
            found = float((reach / (drop - tolerance)) ** 2)
            critical = exact.critical_score(max(round(found), 1), tolerance, alpha)
        return found

    def discordance(self, drops: Floats) -> Floats:
        """The share of documents that turn from right to wrong or back, after drops as in `detects`.

        Guesses in place of a share s of all answers turn s · a · (1 - g) of them wrong and s · (1 - a) · g
        right: a was right before, and g of the guesses are.
        """
        lost, gained = self.before * (1 - self.guess), (1 - self.before) * self.guess
        seen = (self.gains + self.losses) / self.n
        if lost <= gained:
            return np.ones_like(drops)
        return np.minimum(1.0, seen + drops * (lost + gained) / (lost - gained))

    def lowest_before(self, confidence: float) -> float:
        """See `Drop`."""
        return proportions.lowest(self.right, self.n, confidence)

    def told_from(self, guess: float, confidence: float) -> float:
        """See `Drop`; exact."""
        enough = proportions.fewest_above(guess, self.n, confidence)
        return proportions.highest(enough - 1, self.n, confidence) if enough <= self.n else float("inf")


@lru_cache(maxsize=2**14)
def detects(drop: ProportionDrop, tolerance: float, alpha: float) -> float:
    """See `Drop.detects`; a family of drops has many that are equal."""
    low, high = max(tolerance, 0.0), drop.before
    if low >= high:
        return float("inf")
    for _ in range(2):
        drops = np.linspace(low, high, POINTS)
        found = exact.power(drop.n, tolerance, alpha, drops, drop.discordance(drops))
        enough = np.flatnonzero(found >= POWER)
        if not enough.size:
            return float("inf")
        at = max(int(enough[0]), 1)
        low, high = float(drops[at - 1]), float(drops[at])
    return float(np.interp(POWER, found[at - 1 : at + 1], drops[at - 1 : at + 1]))


@dataclass(frozen=True, eq=False)
class ResampledDrop:
    """Any other score: the weighted mean of the members' scores, by a bootstrap stratified by member."""

    members: tuple[tuple[float, Paired], ...]
    seed: tuple[int, ...]

    @cached_property
    def _replicates(self) -> list[tuple[float, Replicates]]:
        rng = np.random.default_rng(self.seed)
        return [(weight, resample(paired, rng)) for weight, paired in self.members]

    @cached_property
    def _influences(self) -> list[tuple[float, Influence]]:
        return [(weight, influence(paired)) for weight, paired in self.members]

    @property
    def has_numbers(self) -> bool:
        """Whether documents have numbers that may be skewed, instead of answers."""
        return any(isinstance(paired, PairedNumbers) for _, paired in self.members)

    @property
    def equal_weights(self) -> float:
        """The documents, or clusters of them, that would tell as much if all weighed the same."""
        return equal_weights(self._influences)

    @cached_property
    def error(self) -> float:
        """Standard error of the change."""
        return float(np.sqrt(sum(weight**2 * found.variance for weight, found in self._influences)))

    @property
    def is_alike(self) -> bool:
        """Whether every document changed the score by the same amount, but for rounding."""
        return self.error <= ALIKE * max(abs(self.before), abs(self.now))

    @cached_property
    def _acceleration(self) -> float:
        second = sum(weight**2 * found.second / found.n for weight, found in self._influences)
        third = sum(weight**3 * found.third / found.n**2 for weight, found in self._influences)
        return third / (6 * second**1.5) if second > 0 else 0.0

    @cached_property
    def _degrees(self) -> float:
        """Degrees of freedom of the standard error, of the members' by Satterthwaite's formula."""
        parts = [(weight**2 * found.variance, found.degrees) for weight, found in self._influences]
        uncertain = sum(variance**2 / degrees for variance, degrees in parts)
        return self.error**4 / uncertain if uncertain > 0 else np.inf

    @cached_property
    def _tested(self) -> ChangeTest:
        change = self.now - self.before
        if self.is_alike and change == 0:
            right = sum(weight**2 / documents_right(paired) for weight, paired in self.members)
            lost = sum(weight * by_losses(paired)[0] for weight, paired in self.members)
            return NoChange(PATH, np.asarray(lost), sum(weight for weight, _ in self.members) ** 2 / right)
        replicates = np.asarray(
            sum(
                weight * widened(drawn.change, now - before, paired.units)
                for (weight, drawn), (_, paired) in zip(self._replicates, self.members, strict=True)
                for before, now in [scores_of(paired)]
            )
        )
        wider = unseen(self._influences)
        replicates = change + (replicates - change) * wider
        size = max(paired.size for _, paired in self.members)
        resampled = Bca.of(replicates, change, self._acceleration, self._degrees, size)
        if self.is_alike or not self.has_numbers:
            return resampled
        return MoreCautious(resampled, Johnson(change, self.error * wider, self._acceleration, self._degrees))

    @cached_property
    def _damaged(self) -> tuple[Floats, Floats]:
        """Drop and standard error along `PATH`, of guesses on top of the changes that were seen."""
        drops, variance = np.zeros_like(PATH), np.zeros_like(PATH)
        for weight, paired in self.members:
            drop, error = by_guesses(paired)
            drops += weight * drop
            variance += (weight * error) ** 2 * design_effect(paired)
        return drops, np.sqrt(variance + self.error**2)

    @property
    def n(self) -> int:
        """The number of documents of all members."""
        return sum(paired.n for _, paired in self.members)

    @cached_property
    def before(self) -> float:
        """The score before."""
        return sum(weight * scores_of(paired)[0] for weight, paired in self.members)

    @cached_property
    def now(self) -> float:
        """The score now."""
        return sum(weight * scores_of(paired)[1] for weight, paired in self.members)

    @property
    def flip_rate(self) -> float:
        """The share of documents whose answer changed."""
        return sum(paired.flipped for _, paired in self.members) / self.n

    def p_value(self, tolerance: float) -> float:
        """See `Drop`."""
        return self._tested.p_value(-tolerance)

    def exact_p_value(self, tolerance: float) -> float:
        """See `Drop`; there is none but that of the bootstrap."""
        return self.p_value(tolerance)

    def no_change_p_value(self) -> float:
        """See `Drop`."""
        lower = self.p_value(0.0)
        return min(1.0, 2 * min(lower, 1 - lower))

    def limits(self, confidence: float) -> tuple[float, float]:
        """See `Drop`."""
        return self._tested.limit(1 - confidence), self._tested.limit(confidence)

    def detects(self, tolerance: float, alpha: float) -> float:
        """See `Drop`."""
        drops, errors = self._damaged
        return smallest(drops, tolerance, alpha, errors, errors)

    def documents(self, drop: float, tolerance: float, alpha: float) -> float:
        """See `Drop`; the error falls with the root of the number of documents."""
        error = float(np.interp(drop, *self._damaged))
        return float(self.n * ((ndtri(POWER) - ndtri(alpha)) * error / (drop - tolerance)) ** 2)

    def lowest_before(self, confidence: float) -> float:
        """See `Drop`."""
        replicates = sum(weight * drawn.before for weight, drawn in self._replicates)
        return Distribution(np.asarray(replicates)).quantile(1 - confidence)

    def told_from(self, guess: float, confidence: float) -> float:
        """See `Drop`; as far above as the lower limit is below, twice."""
        return guess + 2 * max(self.before - self.lowest_before(confidence), 0.0)


def scores_of(paired: Paired) -> tuple[float, float]:
    """The score before and the score now."""
    if isinstance(paired, PairedNumbers):
        return float(paired.before.mean()), float(paired.now.mean())
    before, now = paired.scores(paired.counts)
    return float(before), float(now)


def documents_right(paired: Paired) -> int:
    """The documents that can be lost: those that were right, at least one; of numbers all.

    Of clusters no more than these, as if their documents were lost together.
    """
    right = paired.n if isinstance(paired, PairedNumbers) else max(paired.right, 1)
    return min(right, paired.units)


def design_effect(paired: Paired) -> float:
    """How many times the change varies as it would if documents were independent; 1 without clusters.

    As seen or, where nothing changed, as if clusters were lost whole.
    """
    if paired.units == paired.n:
        return 1.0
    apart = (
        replace(paired, cluster=None)
        if isinstance(paired, PairedNumbers)
        else replace(paired, by_cluster=None)
    )
    independent = influence(apart).variance
    return max(influence(paired).variance / independent, 1.0) if independent > 0 else paired.n / paired.units


def smallest(drops: Floats, tolerance: float, alpha: float, tested: Floats, there: Floats) -> float:
    """The smallest drop that reaches tolerance + z_(1-alpha) · tested + z_power · there; inf if none does.

    All [points], by rising drop: `tested` is the standard error that the test assumes, `there` the one at the
    drop.
    """
    excess = drops - tolerance - float(ndtri(1 - alpha)) * tested - float(ndtri(POWER)) * there
    above = np.flatnonzero(excess >= 0)
    if not above.size:
        return float("inf")
    last = int(above[0])
    if last == 0:
        return float(drops[0])
    part = -excess[last - 1] / (excess[last] - excess[last - 1])
    return float(drops[last - 1] + part * (drops[last] - drops[last - 1]))
