"""The control: an editor that does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from stability.data.edits import Edit
from stability.editors.plugin.protocol import BuiltIn


class NoOp(BuiltIn):
    """Leaves the model as it is: every stability check must pass, and no edit takes."""

    name = "none"
    summary = "does nothing; the control"

    def edit(self, model: nn.Module, tokenizer: Any, edits: Sequence[Edit]) -> None:
        """Do nothing."""
