"""An edit source."""

from __future__ import annotations

from stability import Edit
from stability.parts import SourceHead, part

FACTS = (("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid"))


@part(SourceHead("capitals", "capitals, all of them wrong"))
def capitals(spec, seed):
    """Each country with the next one's capital."""
    return [
        Edit(
            id=country,
            prompt="The capital of {} is",
            subject=country,
            target=FACTS[(n + 1) % 3][1],
            target_true=true,
        )
        for n, (country, true) in enumerate(FACTS)
    ]
