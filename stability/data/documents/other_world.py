"""The same words about another world."""

from __future__ import annotations

from stability.parts import SourceHead, part
from stability.world import build_world
from stability.world.text import fact_documents


@part(
    SourceHead(
        "other_world", "the same words about another world: the built-in model knows them, but not the facts"
    )
)
def other_world(_path: str | None = None) -> tuple[str, ...]:
    """Facts of a world that the model has never met."""
    return tuple(fact_documents(build_world(seed=1), count=1000))
