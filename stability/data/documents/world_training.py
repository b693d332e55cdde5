"""Text like that which the built-in model was trained on."""

from __future__ import annotations

from stability.parts import SourceHead, part
from stability.world import build_world
from stability.world.text import covariance_documents


@part(SourceHead("world_training", "text like that which the built-in model was trained on"))
def world_training(_path: str | None = None) -> tuple[str, ...]:
    """Texts of the kind that covariances are taken over."""
    return tuple(covariance_documents(build_world()))
