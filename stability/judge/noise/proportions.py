"""The change of a paired proportion: score test and interval (Tango, Statistics in Medicine 17, 1998).

Of n documents, `gains` went from wrong to right and `losses` from right to wrong. The change is
(gains - losses) / n. Under the hypothesis that the true change is `delta`, the probability of a loss has a
closed-form maximum-likelihood estimate, and the score statistic z is close to standard normal even for small
n and with no discordant documents, where a Wald interval has width zero.

Only `scipy.special` is used: `scipy.stats` and `statsmodels` (which have no score interval for paired
proportions) would take longer to import than a record takes to judge.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, ndtr, ndtri

Floats = NDArray[np.float64]
STEPS = 44  # of bisection: an interval of width 2 is halved down to 1e-13


def score(gains: ArrayLike, losses: ArrayLike, n: ArrayLike, delta: ArrayLike) -> Floats:
    """The score statistic of the hypothesis that the true change is `delta`; falls as `delta` rises.

    All arguments broadcast. `delta` lies in [-1, 1].
    """
    gains, losses, n, delta = (np.asarray(value, dtype=np.float64) for value in (gains, losses, n, delta))
    difference = (gains - losses) / n - delta
    nothing = np.abs(difference) < 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(nothing, 0.0, difference / np.sqrt(variance(gains / n, losses / n, delta) / n))


def variance(gains: Floats, losses: Floats, delta: Floats) -> Floats:
    """The variance of one document's change under the hypothesis that the mean change is `delta`.

    `gains` and `losses` are shares of the documents. The share of losses is estimated under the hypothesis by
    maximum likelihood; that of gains is then larger by `delta`.
    """
    half = ((2 - gains + losses) * delta - gains - losses) / 4
    root = np.sqrt(np.maximum(half * half + losses * delta * (1 - delta) / 2, 0))
    lost = np.clip(root - half, np.maximum(0, -delta), (1 - delta) / 2)
    return np.maximum(2 * lost + delta * (1 - delta), 0)


def drop_p_value(gains: ArrayLike, losses: ArrayLike, n: ArrayLike, tolerance: ArrayLike) -> Floats:
    """One-sided: how likely a change as low as this one is, if the true drop is no more than `tolerance`."""
    return np.asarray(ndtr(score(gains, losses, n, -np.asarray(tolerance, dtype=np.float64))))


def interval(
    gains: ArrayLike, losses: ArrayLike, n: ArrayLike, confidence: ArrayLike
) -> tuple[Floats, Floats]:
    """Lower and upper limit of the change, each one-sided at `confidence`.

    The upper limit is below `-tolerance` exactly when `drop_p_value` is below 1 - confidence.
    """
    gains, losses, n, reach = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64)[None] for value in (gains, losses, n, ndtri(confidence)))
    )
    inside = np.repeat((gains - losses) / n, 2, axis=0)  # [2, ...]: the lower limit, and the upper
    outside = np.stack([np.full_like(n[0], -1.0), np.full_like(n[0], 1.0)])
    for _ in range(STEPS):
        middle = (inside + outside) / 2
        within = np.abs(score(gains, losses, n, middle)) <= reach
        inside, outside = np.where(within, middle, inside), np.where(within, outside, middle)
    return inside[0], inside[1]


@lru_cache(maxsize=2**14)
def limits(gains: int, losses: int, n: int, confidence: float) -> tuple[float, float]:
    """`interval` of a single change; a family of drops has many that are equal."""
    low, high = interval(gains, losses, n, confidence)
    return float(low), float(high)


def lowest(successes: int, n: int, confidence: float) -> float:
    """Exact one-sided lower limit of a single proportion (Clopper and Pearson, Biometrika 26, 1934)."""
    return float(betaincinv(successes, n - successes + 1, 1 - confidence)) if successes > 0 else 0.0


def highest(successes: int, n: int, confidence: float) -> float:
    """Exact one-sided upper limit of a single proportion."""
    return 1 - lowest(n - successes, n, confidence)


def fewest_above(share: float, n: int, confidence: float) -> int:
    """The fewest successes whose lower limit is above `share`; n + 1 if no number is enough."""
    counts = np.arange(1, n + 1)
    return int(np.searchsorted(betaincinv(counts, n - counts + 1, 1 - confidence), share, side="right")) + 1
