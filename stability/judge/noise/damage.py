"""What a score loses, and how it varies then, as more and more of a model's answers are damaged."""

from __future__ import annotations

import numpy as np

from stability.judge.noise.bootstrap import influences
from stability.judge.noise.paired import CLASS_SCORES, Paired, PairedAnswers, PairedNumbers
from stability.judge.noise.scores import Floats, Ints, score

PATH = np.linspace(0.0, 1.0, 101)  # shares of what is damaged
Cells = tuple[Ints, Ints, Ints, Floats]  # gold, before and now [cells], and their shares [path, cells]


def by_guesses(paired: Paired) -> tuple[Floats, Floats]:
    """The drop and its standard error along `PATH`, the share of all answers that become guesses.

    F1 and Matthews' correlation guess each class as often as it is right. Numbers turn 0.
    """
    return _numbers(paired) if isinstance(paired, PairedNumbers) else _answers(paired, _guesses(paired))


def by_losses(paired: Paired) -> tuple[Floats, Floats]:
    """The same along `PATH` as the share of right answers that turn wrong."""
    return _numbers(paired) if isinstance(paired, PairedNumbers) else _answers(paired, _losses(paired))


def _numbers(paired: PairedNumbers) -> tuple[Floats, Floats]:
    size = np.abs(paired.before)
    mean, square = size.mean(), (size**2).mean()
    return PATH * mean, np.sqrt(np.maximum(PATH * square - (PATH * mean) ** 2, 0) / paired.n)


def _answers(paired: PairedAnswers, cells: Cells) -> tuple[Floats, Floats]:
    gold, before, now, shares = cells

    def change(weights: Floats) -> Floats:
        return score(paired.metric, gold, now, weights) - score(paired.metric, gold, before, weights)

    effect = influences(change, shares)
    return -change(shares), np.sqrt((shares * effect**2).sum(axis=-1) / paired.n)


def _guesses(paired: PairedAnswers) -> Cells:
    if paired.metric not in CLASS_SCORES:  # gold is 1, and so is an answer that is right
        chances = np.array([1 - paired.guess, paired.guess])
    else:
        golds = [paired.total(paired.gold == gold) / paired.n for gold in range(_classes(paired))]
        chances = np.array(golds)
    cells, shares = [], []
    for gold, before, there in _before(paired):
        for now, chance in enumerate(chances):
            cells.append((gold, before, now))
            shares.append(there * (PATH * chance + (1 - PATH) * (now == before)))
    return *np.array(cells).T, np.array(shares).T


def _losses(paired: PairedAnswers) -> Cells:
    """A wrong answer is any other class, each as likely."""
    classes = _classes(paired)
    cells: list[tuple[int, int, int]] = []
    shares: list[Floats] = []
    for gold, before, there in _before(paired):
        for now in range(classes) if before == gold else (before,):
            cells.append((gold, before, now))
            if before != gold:
                shares.append(np.full_like(PATH, there))
            else:
                shares.append(there * ((1 - PATH) if now == gold else PATH / (classes - 1)))
    return *np.array(cells).T, np.array(shares).T


def _classes(paired: PairedAnswers) -> int:
    return int(max(paired.gold.max(), paired.before.max(), paired.now.max(), 1)) + 1


def _before(paired: PairedAnswers) -> list[tuple[int, int, float]]:
    """Every gold class, answer before, and the share of documents with both."""
    pairs = sorted(set(zip(paired.gold.tolist(), paired.before.tolist(), strict=True)))
    return [
        (gold, before, paired.total((paired.gold == gold) & (paired.before == before)) / paired.n)
        for gold, before in pairs
    ]
