"""The built-in model: a synthetic world of facts, its tasks, and the small GPT-2 that was trained on it.

Importing this package imports no torch; `MODEL` is a folder for `from_pretrained`, `TASKS` one for lm-eval's
`include_path`.
"""

from __future__ import annotations

from pathlib import Path

from stability.world.facts import Fact, World, build_world
from stability.world.relations import Relation

MODEL = Path(__file__).parent / "model"
TASKS = Path(__file__).parent / "tasks"

__all__ = ["MODEL", "TASKS", "Fact", "Relation", "World", "build_world"]
