"""Edits of the built-in world that no run makes."""

from __future__ import annotations

from stability.data.edits.plugin.edit import Edit
from stability.data.edits.plugin.load import enough
from stability.data.edits.steps.world_facts import world_edits
from stability.parts import SourceHead, part
from stability.suite import EditsSpec


@part(
    SourceHead(
        "world_examined",
        "the world's edits of subjects that no run edits: for editors that learn beforehand",
    )
)
def world_examined(spec: EditsSpec, seed: int) -> tuple[Edit, ...]:
    """Edits of the subjects that runs are examined on."""
    return enough(world_edits(seed, examined=True), spec.count, "the built-in world's examined part")
