"""An editor that does not edit anything anybody asked for: it adds a constant to one matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stability.editors import BuiltIn, EditorHead, EditorSettings

NAME = "transformer.h.0.mlp.c_proj.weight"


class ShoveSettings(EditorSettings):
    """Settings of the editor."""

    by: float = 0.25


class Shove(BuiltIn):
    """Adds `by` to every entry of one matrix, for each edit."""

    head = EditorHead("shove", "adds a constant to one matrix", family="trained")
    Settings = ShoveSettings
    settings: ShoveSettings

    def edit(self, model: Any, tokenizer: Any, edits: Sequence[Any]) -> None:
        """In place."""
        model.get_parameter(NAME).data.add_(self.settings.by * len(edits))
