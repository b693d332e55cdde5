"""A task's score from counts of (gold, answer), as in lm-eval: accuracy, F1, Matthews' correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def score(metric: str, gold: Ints, answer: Ints, counts: Floats) -> Floats:
    """The score of each row of counts [..., cells]; a cell is one combination of gold and answer.

    `f1` has 1 as its positive class; `mcc` takes any number of classes; anything else is the share of right
    answers. F1 and MCC are 0 where they are not defined.
    """
    if metric == "f1":
        return f1(gold, answer, counts)
    if metric == "mcc":
        return mcc(gold, answer, counts)
    return np.asarray((counts @ (gold == answer)) / counts.sum(axis=-1))


def f1(gold: Ints, answer: Ints, counts: Floats) -> Floats:
    """Twice the true positives, over the sum of actual and predicted positives."""
    hits = counts @ ((gold == 1) & (answer == 1))
    named = counts @ (gold == 1) + counts @ (answer == 1)
    return np.asarray(np.divide(2 * hits, named, out=np.zeros_like(hits), where=named > 0))


def mcc(gold: Ints, answer: Ints, counts: Floats) -> Floats:
    """Matthews' correlation (for more than two classes: Gorodkin 2004)."""
    classes = np.arange(max(gold.max(), answer.max()) + 1)
    total = counts.sum(axis=-1)
    golds = counts @ (gold[:, None] == classes).astype(np.float64)  # [..., classes]
    answers = counts @ (answer[:, None] == classes).astype(np.float64)
    covariance = counts @ (gold == answer) * total - (golds * answers).sum(axis=-1)
    spread = (total**2 - (golds**2).sum(axis=-1)) * (total**2 - (answers**2).sum(axis=-1))
    defined = spread > 1e-12 * total**4
    root = np.sqrt(np.where(defined, spread, 1.0))
    return np.where(defined, covariance / root, 0.0)
