"""Text like that which the built-in model was trained on."""

from __future__ import annotations

from functools import cache

from stability.parts import SourceHead, part
from stability.world import build_world
from stability.world.text import covariance_documents


@part(SourceHead("world_training", "text like that which the built-in model was trained on"))
def world_training(_path: str | None = None) -> tuple[str, ...]:
    """Texts of the kind that covariances are taken over."""
    return _documents()


@cache  # two thousand texts, asked for by every editor that takes a covariance
def _documents() -> tuple[str, ...]:
    return tuple(covariance_documents(build_world()))
