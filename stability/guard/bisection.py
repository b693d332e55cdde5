"""Finding the harmful edits of a refused batch by bisection."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stability.data.edits import Edit


def find_harmful(
    edits: Sequence[Edit], holds: Callable[[Sequence[Edit]], bool]
) -> tuple[list[Edit], list[Edit]]:
    """The harmful edits of a batch that does not hold, and the others, which hold together.

    From the first edit on, the shortest beginning of the batch that does not hold is looked for by halves;
    its last edit is left out, and so on with the rest. Each harmful edit costs about log₂ of the batch in
    trials.
    """
    kept: list[Edit] = []
    harmful: list[Edit] = []
    rest = list(edits)
    while rest and (not harmful or not holds([*kept, *rest])):
        low, high = 0, len(rest)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if holds([*kept, *rest[:middle]]) else (low, middle)
        kept += rest[:low]
        harmful.append(rest[low])
        rest = rest[high:]
    return harmful, kept + rest
