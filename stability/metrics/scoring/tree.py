"""A row of tokens that is a tree: sequences that begin alike are written once, up to where they part."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

Ids = tuple[int, ...]
ROOT = -1


class Tree:
    """Columns of a row in the order in which they were first needed; a parent stands before its children.

    `wanted` maps a column to the (token, request) pairs that are scored by what the model predicts there.
    """

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.parents: list[int] = []
        self.depths: list[int] = []
        self.wanted: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._column: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def branches(self) -> bool:
        """Whether some column's parent is not the column before it."""
        return any(parent != column - 1 for column, parent in enumerate(self.parents))

    def ask(self, context: Ids, continuation: Ids, request: int) -> None:
        """Add a sequence as far as it is new, and score the continuation's tokens along it."""
        at = ROOT
        for token in context:
            at = self._step(at, token)
        for token in continuation[:-1]:
            self.wanted[at].append((token, request))
            at = self._step(at, token)
        self.wanted[at].append((continuation[-1], request))

    def growth(self, context: Ids, continuation: Ids) -> int:
        """How many columns asking for this would add."""
        sequence = context + continuation[:-1]
        at = ROOT
        for count, token in enumerate(sequence):
            step = self._column.get((at, token))
            if step is None:
                return len(sequence) - count
            at = step
        return 0

    def segments(self) -> NDArray[np.int64]:
        """The number of each column's segment, an unbranched stretch of columns: [columns]."""
        parents = np.array(self.parents)
        children = np.bincount(parents + 1, minlength=len(self) + 1)[1:]  # of each column
        starts = np.ones(len(self), dtype=np.int64)
        starts[1:] = (parents[1:] != np.arange(len(self) - 1)) | (children[:-1] > 1)
        segments: NDArray[np.int64] = starts.cumsum() - 1
        return segments

    def above(self) -> NDArray[np.bool_]:
        """Whether segment j is segment i or on its way to the root: [segments, segments]."""
        segments = self.segments()
        firsts = np.flatnonzero(np.diff(segments, prepend=-1))
        above = np.eye(len(firsts), dtype=np.bool_)
        for segment, column in enumerate(firsts):
            parent = self.parents[column]
            if parent != ROOT:
                above[segment] |= above[segments[parent]]
        return above

    def _step(self, parent: int, token: int) -> int:
        """The column of a token after another one's, new if there is none yet."""
        column = self._column.setdefault((parent, token), len(self.tokens))
        if column == len(self.tokens):
            self.tokens.append(token)
            self.parents.append(parent)
            self.depths.append(0 if parent == ROOT else self.depths[parent] + 1)
        return column
