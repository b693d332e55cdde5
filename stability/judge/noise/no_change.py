"""Limits of a change of score where no document's result changed, so that a bootstrap has no width.

If each of n right answers is lost with probability q, none is with (1 - q)^n. The share that may be lost
unseen, at confidence 1 - alpha, is therefore 1 - alpha^(1/n); of 5 % and many documents that is 3 / n.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stability.judge.noise.scores import Floats


@dataclass(frozen=True, eq=False)
class NoChange:
    """Of `documents` right answers none was lost; losing the shares `path` would cost `drops` [path]."""

    path: Floats
    drops: Floats
    documents: float

    def limit(self, confidence: float) -> float:
        """One-sided upper limit at `confidence`; the lower one is that of 1 - confidence.

        What may have been gained unseen is taken to be as much as what may have been lost.
        """
        alpha = min(confidence, 1 - confidence)
        unseen = float(np.interp(1 - alpha ** (1 / self.documents), self.path, self.drops))
        return unseen if confidence > 0.5 else -unseen

    def p_value(self, hypothesis: float) -> float:
        """One-sided: the smallest alpha whose upper limit at 1 - alpha is still at or below `hypothesis`."""
        lost = float(np.interp(abs(hypothesis), self.drops, self.path))
        unseen = (1 - lost) ** self.documents
        return 0.5 if hypothesis == 0 else unseen if hypothesis > 0 else 1 - unseen
