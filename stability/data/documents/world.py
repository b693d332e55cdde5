"""The built-in world's held-out text."""

from __future__ import annotations

from stability.parts import SourceHead, part
from stability.world import build_world
from stability.world.text import heldout_documents


@part(SourceHead("world", "the built-in world's held-out text"))
def world(_path: str | None = None) -> tuple[str, ...]:
    """Texts about the world that the built-in model was not trained on."""
    return tuple(heldout_documents(build_world()))
