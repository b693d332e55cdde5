"""The exact unconditional p-value of Tango's score test, for numbers of documents where it is needed.

The score's distribution is discrete, and its lower tail heavier than the normal one: at 5 % / 75 a normal
p-value is 2 to 3 times too small at 200 to 400 documents. The exact one is the largest probability, over
every share of losses that the hypothesis allows, of a score as low as the observed one (Lloyd and Moldovan,
Statistics in Medicine 27, 2008).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.special import bdtrc, gammaln, xlogy

from stability.judge.noise import proportions
from stability.judge.noise.proportions import Floats, score
from stability.judge.noise.scores import Ints

LARGEST = 1000  # documents; of more, the normal approximation is used
GRID = np.linspace(0.0, 1.0, 64) ** 2  # points of the share of losses, denser where few documents change
FINE = 24  # points between the neighbours of the best of those
EQUAL = 1e-9  # scores that differ by less are the same


@lru_cache(maxsize=2**16)
def drop_p_value(gains: int, losses: int, n: int, tolerance: float) -> float:
    """One-sided: the largest probability of a score this low if the true drop is `tolerance`.

    The normal p-value where that is above 0.5, which is no drop beyond the tolerance, or `n` above `LARGEST`.
    """
    normal = float(proportions.drop_p_value(gains, losses, n, tolerance))
    if normal > 0.5 or n > LARGEST:
        return normal
    changed = np.arange(n + 1)  # [n + 1]: documents that changed sides
    observed = float(proportions.score(gains, losses, n, -tolerance)) + EQUAL
    fewest = _fewest_losses(changed, n, tolerance, observed)
    ways = gammaln(n + 1) - gammaln(changed + 1) - gammaln(n - changed + 1)

    def probabilities(lost: Floats) -> Floats:
        """Of a score this low, for each share of losses [points]."""
        share = np.clip(2 * lost - tolerance, 1e-12, 1.0)[:, None]  # of documents that change sides
        chance = np.exp(ways + xlogy(changed, share) + xlogy(n - changed, 1 - share))  # [points, n + 1]
        of_changed = np.clip(lost[:, None] / share, 0.0, 1.0)
        low = bdtrc(np.maximum(fewest - 1, 0), np.maximum(changed, 1), of_changed)
        low = np.where(fewest == 0, 1.0, np.where(fewest > changed, 0.0, low))
        return np.asarray((chance * low).sum(axis=1))

    least, most = max(tolerance, 0.0), (1 + tolerance) / 2
    coarse = least + (most - least) * GRID
    found = probabilities(coarse)
    best = int(found.argmax())
    fine = np.linspace(coarse[max(best - 1, 0)], coarse[min(best + 1, len(coarse) - 1)], FINE)
    return float(min(1.0, max(found.max(), probabilities(fine).max())))


def _fewest_losses(changed: Ints, n: int, tolerance: float, observed: float) -> Ints:
    """For each number of documents that changed [n + 1], the fewest losses of a score this low.

    More than `changed` where no number is. The score falls as losses rise.
    """
    low, high = np.zeros_like(changed), changed + 1
    for _ in range(int(n).bit_length() + 1):
        middle = np.minimum((low + high) // 2, changed)
        there = score(changed - middle, middle, n, -tolerance) <= observed
        is_open = low < high
        high = np.where(is_open & there, middle, high)
        low = np.where(is_open & ~there, middle + 1, low)
    return high
