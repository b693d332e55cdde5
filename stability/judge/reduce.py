"""From many values to the one that is held against the bound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stability.suite import Bound


@dataclass(frozen=True)
class Worst:
    """The value that decides, its key ("" for an aggregate of many), and whether it holds."""

    value: float
    key: str
    holds: bool


def holds(bound: Bound, value: float) -> bool:
    """Whether the value is inside the bound; one that is not finite never is."""
    return math.isfinite(value) and bound.holds(value)


def distance(bound: Bound, value: float) -> float:
    """How far inside (positive) or outside the value lies; one that is not finite lies as far as can be."""
    return bound.distance(value) if math.isfinite(value) else -math.inf


def worst_of(values: Mapping[str, float], bound: Bound) -> Worst:
    """The value that lies nearest to the bound's outside, or farthest out; the first of equals.

    Where all are equal, no key is worse than the others, and none is named.
    """
    key = min(values, key=lambda key: distance(bound, values[key]))
    if len(values) > 1 and len(set(values.values())) == 1:
        return Worst(values[key], "", holds(bound, values[key]))
    return Worst(values[key], key, holds(bound, values[key]))


def aggregate(values: Mapping[str, float], how: str, bound: Bound) -> Worst:
    """One value made of all: `max`, `min`, `mean`, `median` or a quantile such as `q05` (linear).

    A single value that is not finite makes the aggregate NaN, which holds nothing, and is named by its key.
    """
    for key, value in values.items():
        if not math.isfinite(value):
            return Worst(math.nan, key, holds=False)
    if how in ("max", "min"):
        key = (max if how == "max" else min)(values, key=values.__getitem__)
        return Worst(values[key], key, holds(bound, values[key]))
    numbers = np.array(list(values.values()), dtype=np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if how == "mean":
            value = float(numbers.mean())
        elif how == "median":
            value = float(np.median(numbers))
        else:
            value = float(np.quantile(numbers, int(how[1:]) / 100))
    key = next(iter(values)) if len(values) == 1 else ""
    return Worst(value, key, holds(bound, value))
