"""Edits of the built-in world: another object for a fact that the built-in model knows."""

from __future__ import annotations

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.plugin.load import enough
from stability.data.edits.steps.world_facts import world_edits
from stability.parts import SourceHead, part
from stability.suite import EditsSpec


@part(SourceHead("world", "the built-in world's facts, each with another object"))
def world(spec: EditsSpec, seed: int) -> tuple[Edit, ...]:
    """Edits of the subjects that may be edited."""
    return enough(world_edits(seed), spec.count, "the built-in world")
