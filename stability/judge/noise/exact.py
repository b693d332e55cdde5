"""The exact unconditional p-value of Tango's score test, and what the test detects.

The score's distribution is discrete, and its lower tail heavier than the normal one: at 5 % / 75 a normal
p-value is 2 to 3 times too small at 200 to 400 documents. The exact one is the largest probability, over
every share of losses that the hypothesis allows, of a score as low as the observed one (Lloyd and Moldovan,
Statistics in Medicine 27, 2008).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import bdtrc, gammaln, ndtri, xlogy

from stability.judge.noise import proportions
from stability.judge.noise.proportions import Floats, score
from stability.judge.noise.scores import Ints

LARGEST = 100_000  # documents; of more, the normal approximation is used
GRID = np.linspace(0.0, 1.0, 64) ** 2  # points of the share of losses, denser where few documents change
FINE = 24  # points between the neighbours of the best of those
EQUAL = 1e-9  # scores that differ by less are the same
REACH = 10  # standard deviations of the number of changed documents; beyond, nothing is added
STEP = 0.02  # of the search for the largest score that is rejected


@lru_cache(maxsize=2**16)
def drop_p_value(gains: int, losses: int, n: int, tolerance: float) -> float:
    """One-sided: the largest probability of a score this low if the true drop is `tolerance`.

    The normal p-value where that is above 0.5, which is no drop beyond the tolerance, or `n` above `LARGEST`.
    """
    normal = float(proportions.drop_p_value(gains, losses, n, tolerance))
    if normal > 0.5 or n > LARGEST:
        return normal
    observed = float(score(gains, losses, n, -tolerance))
    return _largest_probability(observed + EQUAL, n, tolerance)


@lru_cache(maxsize=2**10)
def critical_score(n: int, tolerance: float, alpha: float) -> float:
    """The score at or below which `drop_p_value` is at most `alpha`, or one a little lower."""
    normal = critical = float(ndtri(alpha))
    if n > LARGEST:
        return normal
    for _ in range(2):  # the normal p-value of a score is too small by nearly the same for all scores near it
        found = _largest_probability(critical, n, tolerance)
        critical += normal - float(ndtri(np.clip(found, alpha / 10, 0.5)))
    while _largest_probability(critical, n, tolerance) > alpha:
        critical -= STEP
    return critical


def power(n: int, tolerance: float, alpha: float, drops: Floats, discordance: Floats) -> Floats:
    """The probability that the test at `alpha` rejects, for true drops [points] and the shares of documents
    whose answer turns from right to wrong or back."""
    critical = critical_score(n, tolerance, alpha)
    return _probabilities(critical, n, tolerance, (discordance + drops) / 2, discordance)


def _largest_probability(highest: float, n: int, tolerance: float) -> float:
    """Of a score no higher, over every share of losses at a true drop of `tolerance`."""
    least, most = max(tolerance, 0.0), (1 + tolerance) / 2
    coarse = least + (most - least) * GRID
    found = _probabilities(highest, n, tolerance, coarse, 2 * coarse - tolerance)
    best = int(found.argmax())
    fine = np.linspace(coarse[max(best - 1, 0)], coarse[min(best + 1, len(coarse) - 1)], FINE)
    finer = _probabilities(highest, n, tolerance, fine, 2 * fine - tolerance)
    return float(min(1.0, max(found.max(), finer.max())))


def _probabilities(highest: float, n: int, tolerance: float, lost: Floats, changing: Floats) -> Floats:
    """Of a score no higher, for each share of losses and of documents that change sides [points]."""
    share = np.clip(changing, 1e-12, 1.0)[:, None]
    spread = np.sqrt(n * share * (1 - share))
    width = min(int(2 * REACH * (spread.max() + 2)) + 1, n + 1)
    first = np.clip((n * share).astype(np.int64) - width // 2, 0, n + 1 - width)
    changed = first + np.arange(width)  # [points, width]
    numbers = np.arange(changed.min(), changed.max() + 1)
    fewest = _fewest_losses(numbers, n, tolerance, highest)[changed - numbers[0]]
    ways = gammaln(n + 1) - gammaln(changed + 1) - gammaln(n - changed + 1)
    chance = np.exp(ways + xlogy(changed, share) + xlogy(n - changed, 1 - share))
    of_changed = np.clip(lost[:, None] / share, 0.0, 1.0)
    low = bdtrc(np.maximum(fewest - 1, 0), np.maximum(changed, 1), of_changed)
    low = np.where(fewest == 0, 1.0, np.where(fewest > changed, 0.0, low))
    return np.asarray((chance * low).sum(axis=1))


def _fewest_losses(changed: Ints, n: int, tolerance: float, highest: float) -> Ints:
    """For each number of documents that changed, the fewest losses of a score no higher.

    More than `changed` where no number is. The score falls as losses rise.
    """
    low, high = np.zeros_like(changed), changed + 1
    for _ in range(int(n).bit_length() + 1):
        middle = np.minimum((low + high) // 2, changed)
        there = score(changed - middle, middle, n, -tolerance) <= highest
        is_open = low < high
        high = np.where(is_open & there, middle, high)
        low = np.where(is_open & ~there, middle + 1, low)
    return high
